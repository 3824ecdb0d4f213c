//! What an upstream sends that is not HTTP becomes 502 with the reason, and the connection it came on
//! is never used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get, once, request};
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use tokio::sync::mpsc;

fn letters() -> (&'static str, String, bool) {
    let answer = "HTTP/1.1 abc OK\r\n\r\n".into();
    ("a status of letters", answer, false)
}

/// Answers that are no answers: a name, the bytes, and whether the upstream closes behind them.
fn bad() -> Vec<(&'static str, String, bool)> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let huge = "x".repeat(100 * 1024);
    vec![
        ("garbage", "what is this?\r\n\r\n".into(), false),
        ("noise", "\0\x01\x02\x03\r\n\r\n".into(), false),
        ("another version", "HTTP/9.9 200 OK\r\n\r\n".into(), false),
        letters(),
        (
            "a status out of range",
            "HTTP/1.1 99 Low\r\n\r\n".into(),
            false,
        ),
        ("no colon", format!("{ok}Content-Length\r\n\r\n"), false),
        (
            "a NUL in a value",
            format!("{ok}X-A: a\0b\r\nContent-Length: 0\r\n\r\n"),
            false,
        ),
        (
            "two lengths",
            format!("{ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
            false,
        ),
        (
            "a length of letters",
            format!("{ok}Content-Length: two\r\n\r\nok"),
            false,
        ),
        (
            "a length with a plus",
            format!("{ok}Content-Length: +2\r\n\r\nok"),
            false,
        ),
        (
            "length and coding",
            format!("{ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            false,
        ),
        (
            "a huge header",
            format!("{ok}X-Huge: {huge}\r\n\r\n"),
            false,
        ),
        (
            "a switch that nobody asked for",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".into(),
            false,
        ),
        ("an early end", format!("{ok}Content-Le"), true),
        ("an end before the first byte", String::new(), true),
    ]
}

/// An upstream that sends the bytes and tells when the proxy uses the connection again.
fn sending(answer: String, close: bool) -> (Scripted, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let origin = Scripted::start(move |mut wire, _| {
        let (answer, tell) = (answer.clone(), tell.clone());
        async move {
            if wire.head().await.is_err() {
                return;
            }
            let _ = wire.send(&answer).await;
            if close {
                let _ = wire.finish().await;
            }
            let (rest, _) = wire.rest().await;
            let _ = tell.send(String::from_utf8_lossy(&rest).into_owned());
        }
    });
    (origin, told)
}

#[test]
fn each_kind_is_502_and_its_connection_is_given_up() {
    promise(async {
        let mut wrong = String::new();
        for (name, answer, close) in bad() {
            let (origin, mut told) = sending(answer, close);
            let settings = format!(
                "to: http://{}
retry: off
eject: off
timeout: {{request: 5s}}",
                origin.address()
            );
            let ambassador = Ambassador::serving(&settings).await;
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let mut connection = Connection::open(ambassador.address(), protocol)
                    .await
                    .expect("open");
                let reply = connection.fetch(get("/")).await;
                let good = reply.as_ref().is_ok_and(|reply| {
                    let known = [
                        "http_protocol_error",
                        "connection_terminated",
                        "http_upgrade_failed",
                    ];
                    reply.status == 502 && known.contains(&reply.proxy_error())
                });
                if !good {
                    wrong += &format!("{name} over {protocol:?}: {reply:?}\n");
                    continue;
                }
                let rest = expect("the connection to be given up", told.recv()).await;
                assert_eq!(
                    rest.as_deref(),
                    Some(""),
                    "{name}: the connection was used again"
                );
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

#[test]
fn a_coding_that_nobody_asked_for_is_a_protocol_error() {
    promise(async {
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
        let origin = Scripted::answering(answer);
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (502, "http_protocol_error")
        );
    });
}

#[test]
fn bytes_behind_an_answer_poison_nobody() {
    promise(async {
        let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
        for (method, answer) in [
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
            (
                "GET",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
            ),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        ] {
            let (origin, mut told) = sending(format!("{answer}{poison}"), false);
            let settings = format!("to: http://{}\nretry: off", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            for _ in 0..3 {
                let reply = once(ambassador.address(), request(method, "/")).await;
                let text = reply.expect("an answer").text();
                assert!(!text.contains("poison"), "{answer}: {text}");
                let rest = expect("the connection to be given up", told.recv()).await;
                assert_eq!(
                    rest.as_deref(),
                    Some(""),
                    "{answer}: the connection was used again"
                );
            }
        }
    });
}

#[test]
fn interim_answers_pass_and_do_not_count_as_the_answer() {
    promise(async {
        let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let origin = Scripted::answering(answer);
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let reply = connection.fetch(get("/")).await.expect("an answer");
            assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "ok"));
        }
    });
}

#[test]
fn endless_interim_answers_end() {
    promise(async {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let origin = Scripted::start(move |mut wire, _| {
            let sent = Arc::clone(&counter);
            async move {
                let _ = wire.head().await;
                while wire.send("HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let settings = format!(
            "to: http://{}\nretry: off\ntimeout: {{request: 2s}}",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let before = ambassador.memory().resident;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        let reply = connection.fetch(get("/")).await.expect("an answer");
        assert!(matches!(reply.status.as_u16(), 502 | 504), "{reply:?}");
        assert_ne!(reply.proxy_error(), "");
        assert!(ambassador.memory().resident < before + (16 << 20));
    });
}
