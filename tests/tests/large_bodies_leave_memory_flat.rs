//! A body of a gibibyte passes in either direction while the proxy's memory stays flat.

use std::net::SocketAddr;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, channel, full, get, request};
use remora_tests::memory::Memory;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{expect, promise};
use remora_tests::wire::Wire;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;

const GIBIBYTE: usize = 1 << 30;
const PIECE: usize = 1 << 20;
/// How much more memory may be resident while or after the body passes.
const MARGIN: u64 = 48 << 20;

/// An origin that sends a gibibyte for a GET, and counts what it is sent otherwise.
fn origin() -> Origin {
    Origin::start(|request| async move {
        if request.method() == http::Method::GET {
            let (sender, body) = channel();
            let piece = Bytes::from(vec![7; PIECE]);
            tokio::spawn(async move {
                for _ in 0..GIBIBYTE / PIECE {
                    if sender.send(Ok(Frame::data(piece.clone()))).await.is_err() {
                        return;
                    }
                }
            });
            return Response::new(body);
        }
        let mut body = request.into_body();
        let mut count = 0;
        while let Some(Ok(frame)) = body.frame().await {
            count += frame.data_ref().map_or(0, Bytes::len);
        }
        ok(count.to_string())
    })
}

async fn serving(scheme: &str, origin: &Origin) -> (Ambassador, Memory) {
    let ambassador = Ambassador::serving(&format!("to: {scheme}://{}", origin.address())).await;
    // One small exchange first, so that connections and pools are part of the starting figure.
    let mut connection = open(ambassador.address(), Protocol::Http1).await;
    connection
        .fetch(request("PUT", "/"))
        .await
        .expect("an answer");
    let before = ambassador.memory();
    (ambassador, before)
}

async fn open(address: SocketAddr, protocol: Protocol) -> Connection {
    Connection::open(address, protocol).await.expect("open")
}

fn assert_flat(before: Memory, now: Memory) {
    let most = before.resident + MARGIN;
    assert!(
        now.resident <= most,
        "{} bytes resident, at most {most} allowed",
        now.resident
    );
}

#[test]
fn down_to_the_client() {
    promise(async {
        for (scheme, protocol) in [("http", Protocol::Http1), ("h2c", Protocol::Http2)] {
            let origin = origin();
            let (ambassador, before) = serving(scheme, &origin).await;
            let mut connection = open(ambassador.address(), protocol).await;
            let response = expect("a head", connection.send(get("/")))
                .await
                .expect("a head");
            let mut body = response.into_body();
            let (mut count, mut looks) = (0, 1);
            while let Some(frame) = expect("a frame", body.frame()).await {
                count += frame
                    .expect("a whole body")
                    .data_ref()
                    .map_or(0, Bytes::len);
                if count > looks * GIBIBYTE / 8 {
                    looks += 1;
                    assert_flat(before, ambassador.memory());
                }
            }
            assert_eq!(count, GIBIBYTE);
            assert_flat(before, ambassador.memory());
        }
    });
}

#[test]
fn up_to_the_origin() {
    promise(async {
        for (scheme, protocol) in [("http", Protocol::Http1), ("h2c", Protocol::Http2)] {
            let origin = origin();
            let (ambassador, before) = serving(scheme, &origin).await;
            let mut connection = open(ambassador.address(), protocol).await;
            let (sender, body) = channel();
            let mut upload = request("PUT", "/");
            *upload.body_mut() = body;
            let reply = tokio::spawn(async move { connection.fetch(upload).await });
            let piece = Bytes::from(vec![7; PIECE]);
            for number in 0..GIBIBYTE / PIECE {
                let frame = Ok(Frame::data(piece.clone()));
                expect("room for a frame", sender.send(frame))
                    .await
                    .expect("taken");
                if number % 128 == 127 {
                    assert_flat(before, ambassador.memory());
                }
            }
            drop(sender);
            let reply = expect("an answer", reply)
                .await
                .expect("a task")
                .expect("an answer");
            assert_eq!(reply.text(), GIBIBYTE.to_string());
            assert_flat(before, ambassador.memory());
        }
    });
}

#[test]
fn a_large_body_with_a_length_keeps_it() {
    promise(async {
        let origin = Origin::start(|_| async { ok(vec![7; 8 << 20]) });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let head = wire.head().await.expect("a head").to_lowercase();
        assert!(
            head.contains(&format!("content-length: {}", 8 << 20)),
            "{head}"
        );
        assert!(!head.contains("transfer-encoding"), "{head}");
        wire.exactly(8 << 20).await.expect("the body");
        let mut upload = request("PUT", "/");
        *upload.body_mut() = full("sized");
        let mut connection = open(ambassador.address(), Protocol::Http1).await;
        connection.fetch(upload).await.expect("an answer");
        let requests = origin.received(2).await;
        assert_eq!(requests[1].headers["content-length"], "5");
    });
}
