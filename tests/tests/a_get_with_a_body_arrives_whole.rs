//! A GET may have a body: however it is framed, it arrives whole, over either protocol.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, channel, get};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;
use remora_tests::wire::Wire;

/// An upstream that sends the body it got back, with the method before it.
fn telling() -> Origin {
    Origin::start(|request| async {
        let method = request.method().clone();
        let body = request.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        ok(format!("{method} {}.", String::from_utf8_lossy(&body)))
    })
}

async fn each_upstream(client: impl AsyncFn(&Ambassador) -> String) {
    for scheme in ["http", "h2c"] {
        let origin = telling();
        let ambassador = Ambassador::serving(&format!("to: {scheme}://{}", origin.address())).await;
        assert_eq!(client(&ambassador).await, "GET abcdef.", "to {scheme}");
        assert_eq!(origin.count(), 1);
    }
}

async fn over_http1(ambassador: &Ambassador, framed: &str) -> String {
    let mut wire = Wire::connect(ambassador.address()).await;
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{framed}");
    wire.send(bytes).await.expect("sent");
    wire.head().await.expect("an answer");
    wire.through(".").await.expect("a body")
}

#[test]
fn in_chunks() {
    promise(each_upstream(async |ambassador| {
        let framed = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
        over_http1(ambassador, framed).await
    }));
}

#[test]
fn of_a_length() {
    promise(each_upstream(async |ambassador| {
        over_http1(ambassador, "Content-Length: 6\r\n\r\nabcdef").await
    }));
}

#[test]
fn in_frames() {
    promise(each_upstream(async |ambassador| {
        let (sender, body) = channel();
        let mut request = get("/");
        *request.body_mut() = body;
        let sending = tokio::spawn(async move {
            for part in ["abc", "def"] {
                let frame = Frame::data(Bytes::from_static(part.as_bytes()));
                sender.send(Ok(frame)).await.expect("taken");
            }
        });
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        let reply = connection.fetch(request).await.expect("an answer");
        sending.await.expect("a task");
        reply.text()
    }));
}
