//! An HTTP/1 connection carries one exchange after another, in order and whole, and is closed when
//! what follows on it would be in doubt.

use remora_tests::ambassador::Ambassador;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use remora_tests::wire::{Ending, Wire};

async fn serving(origin: std::net::SocketAddr) -> Ambassador {
    Ambassador::serving(&format!("to: http://{origin}")).await
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    promise(async {
        let origin = Origin::start(|request| async move {
            let path = request.uri().path().to_owned();
            ok(format!("<{path}>"))
        });
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let mut all = String::new();
        for number in 0..50 {
            all += &format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        all +=
            "POST /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
        wire.send(all).await.expect("sent");
        for number in 0..50 {
            wire.through(&format!("</{number}>"))
                .await
                .expect("an answer");
        }
        let last = wire.through("</last>").await.expect("an answer");
        assert!(last.contains("connection: close"), "{last}");
        assert_eq!(wire.rest().await, (Vec::new(), Ending::Closed));
        assert_eq!(origin.count(), 51);
    });
}

#[test]
fn http_1_0_keeps_a_connection_only_when_asked_to() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        for _ in 0..2 {
            wire.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
                .await
                .expect("sent");
            let head = wire.head().await.expect("a head");
            assert!(head.contains("connection: keep-alive"), "{head}");
            wire.through("fine").await.expect("a body");
        }
        wire.send("GET / HTTP/1.0\r\n\r\n").await.expect("sent");
        let (rest, ending) = wire.rest().await;
        assert!(String::from_utf8_lossy(&rest).ends_with("fine"));
        assert_eq!(ending, Ending::Closed);
    });
}

#[test]
fn an_answer_that_comes_before_the_upload_is_over_arrives_and_ends_the_connection() {
    promise(async {
        let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nlong";
        let origin = Scripted::answering(answer);
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
        wire.send(head).await.expect("sent");
        wire.send(vec![7; 100_000]).await.expect("sent");
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        wire.through("long").await.expect("its body");
        expect("the end", wire.rest()).await;
    });
}

#[test]
fn a_small_upload_that_nobody_read_leaves_the_connection_usable() {
    promise(async {
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let origin = Scripted::answering(answer);
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        for _ in 0..2 {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab";
            wire.send(head).await.expect("sent");
            let head = wire.head().await.expect("an answer");
            assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
            wire.through("no").await.expect("its body");
            wire.send("cde").await.expect("sent");
        }
    });
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    promise(async {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let origin = Scripted::answering(answer);
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        for _ in 0..2 {
            wire.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .expect("sent");
            let head = wire.head().await.expect("a head");
            assert!(head.contains("content-length: 5\r\n"), "{head}");
        }
        wire.finish().await.expect("half closed");
        assert_eq!(wire.rest().await.0, b"");
    });
}

#[test]
fn trailers_pass_both_ways_where_they_are_wanted() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.through("abc").await;
            // The upload's trailers come back as the answer's: nothing is answered without them.
            let _ = wire.through("x-sum: 7\r\n\r\n").await;
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                          3\r\nabc\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n";
            let _ = wire.send(answer).await;
            wire.rest().await;
        });
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let request = "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
                       Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n";
        wire.send(request).await.expect("sent");
        let head = wire.head().await.expect("a head");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let body = wire.through("0\r\n").await.expect("a body");
        assert!(body.contains("abc"), "{body}");
        let trailers = wire.through("\r\n\r\n").await;
        assert!(
            trailers.is_ok_and(|trailers| trailers == "x-sum: 7\r\n\r\n"),
            "the trailers are lost"
        );
    });
}

/// A head may take 10 s, and a connection is looked at every quarter of that.
#[test]
fn a_head_that_is_never_whole_is_told_so() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = serving(origin.address()).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n")
            .await
            .expect("sent");
        let (rest, ending) = wire.rest().await;
        let answer = String::from_utf8_lossy(&rest).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert_eq!(ending, Ending::Closed);
        let entry = [("entry", ambassador.entry())];
        ambassador
            .metric("remora_downstream_errors_total", &entry, |count| {
                count == 1.0
            })
            .await;
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn what_is_no_request_is_told_why() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = serving(origin.address()).await;
        for (request, status, why) in [
            ("GET / HTTP/1.1\nHost: a\n\n", "400 ", "bare LF"),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "400 ",
                "both a Content-Length and a Transfer-Encoding",
            ),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 ", "version"),
            (
                &format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101)),
                "431 ",
                "more than 100 fields",
            ),
            (
                &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(70_000)),
                "431 ",
                "more bytes than max-headers allows",
            ),
            (
                &format!("GET /{}", "y".repeat(70_000)),
                "414 ",
                "request line",
            ),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 ", "only OPTIONS"),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400 ", "fragment"),
        ] {
            let mut wire = Wire::connect(ambassador.address()).await;
            wire.send(request).await.expect("sent");
            let (rest, ending) = wire.rest().await;
            let answer = String::from_utf8_lossy(&rest).into_owned();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
            assert!(answer.contains("proxy-status: remora; error=http_request_error"));
            assert!(answer.contains("\r\ndate: "), "{answer}");
            assert!(answer.contains(why), "{answer}");
            assert_eq!(ending, Ending::Closed, "{request}");
        }
    });
}
