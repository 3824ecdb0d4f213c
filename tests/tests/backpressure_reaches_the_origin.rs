//! A client that stops reading stops the origin, and a slow origin stops the client: what lies in
//! between stays small.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, channel, get, request};
use remora_tests::origin::{Origin, hang};
use remora_tests::promise::{expect, promise, until};

const PIECE: usize = 64 << 10;
/// Most of it is what the kernel's socket buffers may hold on both hops.
const MOST: usize = 64 << 20;
/// How much more memory the proxy may take for it.
const MARGIN: u64 = 16 << 20;

/// A body without end, and the count of the bytes that were taken from it.
fn endless() -> (Body, Arc<AtomicUsize>) {
    let (sender, body) = channel();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    tokio::spawn(async move {
        let piece = Bytes::from(vec![7; PIECE]);
        while sender.send(Ok(Frame::data(piece.clone()))).await.is_ok() {
            counter.fetch_add(PIECE, Ordering::SeqCst);
        }
    });
    (body, taken)
}

/// Waits until nothing more is taken, and fails as soon as too much was.
async fn assert_stalls(taken: &AtomicUsize, ambassador: &Ambassador, before: u64) {
    let (mut last, mut same) = (0, 0);
    until("the flow to stall", async || {
        let now = taken.load(Ordering::SeqCst);
        assert!(now <= MOST, "{now} bytes were taken though nobody reads");
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        (same == 50).then_some(())
    })
    .await;
    let resident = ambassador.memory().resident;
    assert!(
        resident <= before + MARGIN,
        "{resident} bytes resident, {before} before"
    );
}

#[test]
fn a_client_that_does_not_read_stops_the_origin() {
    promise(async {
        for (scheme, protocol) in [
            ("http", Protocol::Http1),
            ("http", Protocol::Http2),
            ("h2c", Protocol::Http1),
            ("h2c", Protocol::Http2),
        ] {
            let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
            let origin = Origin::start(move |_| {
                let (body, taken) = endless();
                let _ = tell.send(taken);
                async { Response::new(body) }
            });
            let settings = format!("to: {scheme}://{}", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            let before = ambassador.memory().resident;
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let response = expect("a head", connection.send(get("/")))
                .await
                .expect("a head");
            let taken = expect("the origin's body", told.recv())
                .await
                .expect("a body");
            assert_stalls(&taken, &ambassador, before).await;
            drop(response);
        }
    });
}

#[test]
fn an_origin_that_does_not_read_stops_the_client() {
    promise(async {
        for (scheme, protocol) in [("http", Protocol::Http1), ("h2c", Protocol::Http2)] {
            let origin = Origin::start(|request| async move {
                let _held = request;
                hang().await
            });
            let settings = format!("to: {scheme}://{}", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            let before = ambassador.memory().resident;
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let (body, taken) = endless();
            let mut upload = request("PUT", "/");
            *upload.body_mut() = body;
            let flight = tokio::spawn(async move { connection.send(upload).await.map(drop) });
            origin.received(1).await;
            assert_stalls(&taken, &ambassador, before).await;
            flight.abort();
        }
    });
}

#[test]
fn a_stalled_stream_does_not_stall_its_neighbours() {
    promise(async {
        let origin = Origin::start(|request| async move {
            if request.uri().path() == "/endless" {
                return Response::new(endless().0);
            }
            remora_tests::origin::slow(Duration::ZERO).await
        });
        let settings = format!("to: h2c://{}", origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        let stalled = connection.send(get("/endless")).await.expect("a head");
        for _ in 0..20 {
            assert_eq!(
                connection.fetch(get("/")).await.expect("an answer").status,
                200
            );
        }
        drop(stalled);
    });
}
