//! When a client goes away, the request it left behind is cancelled at the origin too.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, channel, get};
use remora_tests::origin::{Origin, hang};
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;
use tokio::sync::mpsc;

/// Tells when it is dropped.
struct Guard(mpsc::UnboundedSender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

const PAIRS: [(&str, Protocol); 4] = [
    ("http", Protocol::Http1),
    ("http", Protocol::Http2),
    ("h2c", Protocol::Http1),
    ("h2c", Protocol::Http2),
];

#[test]
fn while_it_waits_for_the_head() {
    promise(async {
        for (scheme, protocol) in PAIRS {
            let (tell, mut told) = mpsc::unbounded_channel();
            let origin = Origin::start(move |_| {
                let guard = Guard(tell.clone());
                async move {
                    let _guard = guard;
                    hang().await
                }
            });
            let settings = format!("to: {scheme}://{}", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let flight = tokio::spawn(async move { connection.send(get("/left")).await.map(drop) });
            origin.received(1).await;
            flight.abort();
            let what = format!("the cancelled request, {protocol:?} to {scheme}");
            expect(&what, told.recv()).await.expect("a word");
            let line = ambassador.logged("/left").await;
            assert_eq!(line["endpoint"], origin.address().to_string(), "{line}");
            let idle = |value: f64| value == 0.0;
            ambassador
                .metric("remora_requests_in_flight", &[("entry", "users")], idle)
                .await;
        }
    });
}

#[test]
fn in_the_middle_of_the_body() {
    promise(async {
        for (scheme, protocol) in PAIRS {
            let (tell, mut told) = mpsc::unbounded_channel();
            let origin = Origin::start(move |_| {
                let (sender, body) = channel();
                let tell = tell.clone();
                tokio::spawn(async move {
                    sender.closed().await;
                    let _ = tell.send(());
                });
                async { http::Response::new(body) }
            });
            let settings = format!("to: {scheme}://{}", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let response = expect("a head", connection.send(get("/left")))
                .await
                .expect("a head");
            drop(response);
            drop(connection);
            let what = format!("the cancelled body, {protocol:?} to {scheme}");
            expect(&what, told.recv()).await.expect("a word");
            ambassador.logged("/left").await;
        }
    });
}

#[test]
fn while_its_body_is_not_asked_for() {
    promise(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        // It answers without having asked for the body, and its answer goes on.
        let origin = Scripted::start(move |mut wire, _| {
            let tell = tell.clone();
            async move {
                let _ = wire.head().await;
                let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
                let _ = wire.send(answer).await;
                wire.rest().await;
                let _ = tell.send(());
            }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        wire.send(head).await.expect("sent");
        wire.through("ok")
            .await
            .expect("the beginning of an answer");
        drop(wire);
        expect("the cancelled exchange", told.recv())
            .await
            .expect("a word");
    });
}

#[test]
fn while_it_waits_in_line() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!(
            "to: http://{}\npool: {{connections: 1}}\nretry: off",
            origin.address()
        );
        let config = remora_tests::config::Config::of(&settings).with("workers: 1");
        let ambassador = Ambassador::start(&config).await;
        let first = tokio::spawn({
            let address = ambassador.address();
            async move {
                let mut first = Connection::open(address, Protocol::Http1).await?;
                first.send(get("/first")).await.map(drop)
            }
        });
        origin.received(1).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let post = "POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        wire.send(post).await.expect("sent");
        let both = |value: f64| value == 2.0;
        ambassador
            .metric("remora_requests_in_flight", &[], both)
            .await;
        drop(wire);
        let line = ambassador.logged("/left").await;
        assert_eq!(line["status"], 499, "{line}");
        first.abort();
        let none = |value: f64| value == 0.0;
        ambassador
            .metric("remora_requests_in_flight", &[], none)
            .await;
        assert_eq!(origin.count(), 1, "the request that was left is never sent");
    });
}

#[test]
fn but_what_it_sent_whole_before_it_left_arrives() {
    promise(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        let origin = Scripted::start(move |mut wire, _| {
            let tell = tell.clone();
            async move {
                while wire.head().await.is_ok() {
                    let Ok(body) = wire.exactly(6).await else {
                        return;
                    };
                    let _ = tell.send(body);
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnoted";
                    let _ = wire.send(answer).await;
                }
            }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for _ in 0..20 {
            let mut wire = Wire::connect(ambassador.address()).await;
            let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef";
            wire.send(request).await.expect("sent");
            wire.through("noted").await.expect("an answer");
            // Now there is a connection at hand.
            wire.send(request).await.expect("sent");
            wire.finish().await.expect("finished");
            for _ in 0..2 {
                let body = expect("the body", told.recv()).await.expect("a body");
                assert_eq!(body, b"abcdef");
            }
        }
    });
}
