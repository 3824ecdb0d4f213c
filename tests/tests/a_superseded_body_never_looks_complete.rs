//! A try that was answered before its request's body was over, and was superseded by another try,
//! never gets an end of the body that looks like the real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, channel, request};
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;
use tokio::sync::mpsc;

const FIRST: &str = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
const LAST: &str = "3\r\ndef\r\n0\r\n\r\n";

/// What ends a chunked body.
const END: &str = "0\r\n\r\n";

const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: ";

/// What an endpoint tells the test.
#[derive(Debug)]
enum Told {
    /// The second try has arrived.
    Superseded,
    /// All that the first try brought behind its first chunk.
    First(String),
}

/// One of two endpoints: whichever is tried first answers `refusal` after the first chunk.
fn endpoint(
    tries: &Arc<AtomicUsize>,
    tell: &mpsc::UnboundedSender<Told>,
    refusal: &'static str,
) -> Scripted {
    let (tries, tell) = (Arc::clone(tries), tell.clone());
    Scripted::start(move |mut wire, _| {
        let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
        let tell = tell.clone();
        async move {
            let _ = wire.head().await;
            let _ = wire.through("abc\r\n").await;
            if first {
                let _ = wire.send(format!("{REFUSAL}{refusal}")).await;
                let (rest, _) = wire.rest().await;
                let _ = tell.send(Told::First(String::from_utf8_lossy(&rest).into_owned()));
            } else {
                let _ = tell.send(Told::Superseded);
                let rest = wire.through(END).await.unwrap_or_default();
                let length = rest.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                let _ = wire.send(head + &rest).await;
                wire.rest().await;
            }
        }
    })
}

async fn supersede(refusal: &'static str) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let tries = Arc::new(AtomicUsize::new(0));
    let origins = [(); 2].map(|()| endpoint(&tries, &tell, refusal));
    let [one, two] = origins.each_ref().map(Scripted::address);
    let settings = format!("to: ['http://{one}', 'http://{two}']");
    let ambassador = Ambassador::serving(&settings).await;
    let mut wire = Wire::connect(ambassador.address()).await;
    wire.send(FIRST).await.expect("sent");
    // The first connection may be given up before or after the second try arrives.
    let mut rest = None;
    loop {
        match expect("the second try", told.recv()).await {
            Some(Told::First(brought)) => rest = Some(brought),
            Some(Told::Superseded) => break,
            None => panic!("the endpoints are gone"),
        }
    }
    wire.send(LAST).await.expect("sent");
    let head = wire.head().await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    wire.through("def")
        .await
        .expect("the second try got the rest");
    let rest = match rest {
        Some(rest) => rest,
        None => match expect("the end of the first try", told.recv()).await {
            Some(Told::First(rest)) => rest,
            other => panic!("{other:?}"),
        },
    };
    assert!(!rest.contains(END), "{rest:?}");
}

#[test]
fn behind_a_whole_answer() {
    promise(supersede("0\r\n\r\n"));
}

#[test]
fn behind_an_answer_that_is_not_over() {
    promise(supersede("10\r\n\r\nhello"));
}

#[test]
fn over_http2() {
    promise(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (arrive, mut arrived) = mpsc::unbounded_channel();
        let tries = AtomicUsize::new(0);
        let origin = Origin::start(move |request| {
            let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
            let (tell, arrive) = (tell.clone(), arrive.clone());
            async move {
                let mut body = request.into_body();
                let _ = body.frame().await;
                if first {
                    tokio::spawn(async move { tell.send(body.collect().await.is_ok()) });
                    return status(503);
                }
                let _ = arrive.send(());
                let rest = body.collect().await.map(|rest| rest.to_bytes());
                ok(rest.unwrap_or_default())
            }
        });
        let ambassador = Ambassador::serving(&format!("to: h2c://{}", origin.address())).await;
        let (sender, body) = channel();
        let mut put = request("PUT", "/");
        *put.body_mut() = body;
        let address = ambassador.address();
        let flight = tokio::spawn(async move {
            let mut connection = Connection::open(address, Protocol::Http2).await?;
            connection.fetch(put).await
        });
        let chunk = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        sender.send(chunk("abc")).await.expect("taken");
        expect("the second try", arrived.recv()).await;
        sender.send(chunk("def")).await.expect("taken");
        drop(sender);
        let reply = flight.await.expect("a task").expect("an answer");
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "def"));
        let complete = expect("the end of the first try", told.recv()).await;
        assert_eq!(complete, Some(false), "the first body looked complete");
    });
}
