//! A body that an upstream cuts short never reaches a client as a whole one.

use std::sync::Arc;

use http::Request;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, Reply, get};
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use remora_tests::wire::{Ending, Wire};
use tokio::sync::Notify;

const PART: &str = "the first part";
const HTTP_1_0: &str = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
const HTTP_1_1: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CLOSING: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Ways to cut a body short: a name, the head and part of the body, and whether by a reset.
fn cuts() -> Vec<(&'static str, String, bool)> {
    let length = format!("Content-Length: 1000\r\n\r\n{PART}");
    let chunked = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{PART}\r\n",
        PART.len()
    );
    let inside = format!("Transfer-Encoding: chunked\r\n\r\n400\r\n{PART}");
    let closing = format!("Connection: close\r\n\r\n{PART}");
    let cuts = [
        ("length, closed", length.clone(), false),
        ("length, reset", length, true),
        ("chunked, closed between chunks", chunked.clone(), false),
        ("chunked, reset between chunks", chunked, true),
        ("chunked, closed inside a chunk", inside, false),
        ("until close, reset", closing, true),
    ];
    cuts.map(|(name, rest, reset)| (name, format!("HTTP/1.1 200 OK\r\n{rest}"), reset))
        .to_vec()
}

/// An upstream that sends the part, waits until the client has it, and cuts.
fn cutting(answer: String, reset: bool) -> (Scripted, Arc<Notify>) {
    let cut = Arc::new(Notify::new());
    let signal = Arc::clone(&cut);
    let origin = Scripted::start(move |mut wire, _| {
        let (answer, cut) = (answer.clone(), Arc::clone(&cut));
        async move {
            let _ = wire.head().await;
            let _ = wire.send(&answer).await;
            cut.notified().await;
            if reset {
                wire.reset();
            }
        }
    });
    (origin, signal)
}

async fn raw(request: &str, answer: String, reset: bool) -> (String, String, Ending) {
    let (origin, cut) = cutting(answer, reset);
    let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
    let mut wire = Wire::connect(ambassador.address()).await;
    wire.send(request).await.expect("sent");
    let head = wire.head().await.expect("a head").to_lowercase();
    let part = wire.through(PART).await.expect("the first part");
    cut.notify_one();
    let (rest, ending) = wire.rest().await;
    (head, part + &String::from_utf8_lossy(&rest), ending)
}

#[test]
fn towards_http_1_1() {
    promise(async {
        for (name, answer, reset) in cuts() {
            let (head, body, ending) = raw(HTTP_1_1, answer, reset).await;
            let whole = if head.contains("transfer-encoding: chunked") {
                body.ends_with("0\r\n\r\n")
            } else if head.contains("content-length:") {
                assert!(head.contains("content-length: 1000"), "{name}: {head}");
                body.len() >= 1000
            } else {
                ending == Ending::Closed
            };
            assert!(!whole, "{name} looks whole: {head}{body} {ending:?}");
        }
    });
}

#[test]
fn towards_http_1_0() {
    promise(async {
        for (name, answer, reset) in cuts() {
            let (head, body, ending) = raw(HTTP_1_0, answer, reset).await;
            assert!(!head.contains("transfer-encoding"), "{name}: {head}");
            // Without a length only a reset tells a cut body from a whole one.
            let whole = !head.contains("content-length: 1000") && ending == Ending::Closed;
            assert!(!whole, "{name} looks whole: {head}{body} {ending:?}");
        }
    });
}

#[test]
fn towards_http_1_0_when_the_proxy_gives_up_waiting() {
    promise(async {
        let answer =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{PART:.5}\r\n");
        let (origin, _cut) = cutting(answer, false);
        let settings = format!("to: http://{}\ntimeout: {{idle: 200ms}}", origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send(HTTP_1_0).await.expect("sent");
        let head = wire.head().await.expect("a head");
        assert!(!head.contains("content-length"), "{head}");
        let (_, ending) = wire.rest().await;
        assert_eq!(ending, Ending::Reset, "the end looks like that of the body");
    });
}

#[test]
fn towards_a_client_library_over_both_protocols() {
    promise(async {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for (name, answer, reset) in cuts() {
                let (origin, cut) = cutting(answer, reset);
                let ambassador =
                    Ambassador::serving(&format!("to: http://{}", origin.address())).await;
                let mut connection = Connection::open(ambassador.address(), protocol)
                    .await
                    .expect("open");
                let request: Request<_> = get("/");
                let response = expect("a head", connection.send(request))
                    .await
                    .expect("a head");
                cut.notify_one();
                let reply = Reply::read(response).await;
                assert!(
                    reply.is_err(),
                    "{name} over {protocol:?} looks whole: {reply:?}"
                );
            }
        }
    });
}

#[test]
fn a_whole_body_until_close_is_whole() {
    promise(async {
        let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{PART}");
        for request in [HTTP_1_0, CLOSING] {
            let (head, body, ending) = raw(request, answer.clone(), false).await;
            let whole = ending == Ending::Closed || body.ends_with("0\r\n\r\n");
            assert!(
                whole && body.contains(PART),
                "{request}{head}{body} {ending:?}"
            );
        }
    });
}
