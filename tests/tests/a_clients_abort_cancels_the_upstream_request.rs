//! When a client goes away, the request it left behind is cancelled at the origin too.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, channel, get};
use remora_tests::origin::{Origin, hang};
use remora_tests::promise::{expect, promise};
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
