//! A large body in plain text goes from connection to connection within the kernel, and what arrives is
//! what was sent: whole, or cut where its sender was.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, full, get, request};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::{expect, promise, until};
use remora_tests::scripted::Scripted;
use remora_tests::wire::{Ending, Wire};
use rustix::process::{Resource, Rlimit};
use tokio::sync::{Notify, Semaphore};

const SIZE: usize = 8 << 20;
/// More than all buffers between a sender and a receiver who does not read.
const STALLS: usize = 64 << 20;
/// What is sent of a body that is cut.
const PART: usize = 3 << 20;

/// Bytes of which no two stretches are alike.
fn pattern() -> Bytes {
    let words = (0..SIZE as u32 / 4).map(|number| number.wrapping_mul(2_654_435_761));
    words.flat_map(u32::to_le_bytes).collect()
}

/// Answers with the pattern, and says of any other request whether its body is that.
fn origin() -> Origin {
    let whole = pattern();
    Origin::start(move |request| {
        let whole = whole.clone();
        async move {
            if request.method() == http::Method::GET {
                return ok(whole);
            }
            let body = request.into_body().collect().await;
            match body.is_ok_and(|body| body.to_bytes() == whole) {
                true => status(204),
                false => status(418),
            }
        }
    })
}

async fn serving(origin: SocketAddr) -> Ambassador {
    Ambassador::serving(&format!("to: http://{origin}")).await
}

async fn assert_whole_both_ways(ambassador: &Ambassador) {
    let connection = Connection::open(ambassador.address(), Protocol::Http1).await;
    assert_whole(&mut connection.expect("open")).await;
}

async fn assert_whole(connection: &mut Connection) {
    for _ in 0..3 {
        let answer = expect("an answer", connection.fetch(get("/"))).await;
        assert!(answer.expect("an answer").body == pattern(), "another body");
        for expects in [false, true] {
            let mut upload = request("PUT", "/");
            *upload.body_mut() = full(pattern());
            if expects {
                let word = http::HeaderValue::from_static("100-continue");
                upload.headers_mut().insert("expect", word);
            }
            let answer = expect("an answer", connection.fetch(upload)).await;
            assert_eq!(answer.expect("an answer").status, 204);
        }
    }
}

/// Pipes that the proxy has open.
fn pipes(ambassador: &Ambassador) -> usize {
    let open = ambassador.descriptors();
    open.iter().filter(|what| what.starts_with("pipe:")).count()
}

/// Waits until three bodies are on their way in pipes of their own.
async fn assert_three_on_their_way(ambassador: &Ambassador, before: usize) {
    let three = || async { (pipes(ambassador) >= before + 3).then_some(()) };
    until("three pipes that are held", three).await;
}

async fn of_one_worker(origin: &Scripted) -> (Ambassador, usize) {
    let config = Config::of(&format!("to: http://{}", origin.address())).with("workers: 1");
    let ambassador = Ambassador::start(&config).await;
    let before = pipes(&ambassador);
    (ambassador, before)
}

#[test]
fn what_an_answer_has_on_its_way_when_it_is_cut_does_not_complete_it() {
    promise(async {
        let cut = Arc::new(Semaphore::new(0));
        let signal = Arc::clone(&cut);
        let origin = Scripted::start(move |mut wire, _| {
            let cut = Arc::clone(&cut);
            async move {
                let _ = wire.head().await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {STALLS}\r\n\r\n");
                let _ = wire.send(head).await;
                let body = vec![7; STALLS];
                tokio::select! {
                    _ = wire.send(&body) => {}
                    _ = cut.acquire() => {}
                }
                wire.reset();
            }
        });
        let (ambassador, before) = of_one_worker(&origin).await;
        let mut stalled = Vec::new();
        for _ in 0..3 {
            let mut wire = Wire::connect(ambassador.address()).await;
            let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            wire.send(request).await.expect("sent");
            wire.head().await.expect("a head");
            stalled.push(wire);
        }
        assert_three_on_their_way(&ambassador, before).await;
        signal.close();
        for mut wire in stalled {
            let (rest, _) = wire.rest().await;
            assert!(rest.len() < STALLS, "a cut body looks whole");
        }
    });
}

#[test]
fn what_an_upload_has_on_its_way_when_it_is_cut_does_not_complete_it() {
    promise(async {
        let (go, cut) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let signal = Arc::clone(&go);
        let origin = Scripted::start(move |mut wire, _| {
            let (tell, go) = (tell.clone(), Arc::clone(&go));
            async move {
                let _ = wire.head().await;
                let _ = go.acquire().await;
                let _ = tell.send(wire.rest().await);
            }
        });
        let (ambassador, before) = of_one_worker(&origin).await;
        for _ in 0..3 {
            let mut wire = Wire::connect(ambassador.address()).await;
            let cut = Arc::clone(&cut);
            tokio::spawn(async move {
                let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {STALLS}\r\n\r\n");
                let _ = wire.send(head).await;
                let body = vec![7; STALLS];
                tokio::select! {
                    _ = wire.send(&body) => {}
                    _ = cut.acquire() => {}
                }
                wire.reset();
            });
        }
        assert_three_on_their_way(&ambassador, before).await;
        cut.close();
        signal.close();
        for _ in 0..3 {
            let (rest, _) = expect("the end", told.recv()).await.expect("an end");
            assert!(rest.len() < STALLS, "a cut body looks whole");
        }
    });
}

#[test]
fn unless_it_may_not() {
    promise(async {
        let origin = origin();
        let config = Config::of(&format!("to: http://{}", origin.address()));
        let ambassador = Ambassador::start(&config).await;
        let before = pipes(&ambassador);
        assert_whole_both_ways(&ambassador).await;
        let through = pipes(&ambassador);
        assert!(through > before, "no body went through the kernel");

        ambassador.rewrite(&config.with("splice: false").text());
        let back = || async { (pipes(&ambassador) == before).then_some(()) };
        until("the pipes to be closed", back).await;
        assert_whole_both_ways(&ambassador).await;
        assert_eq!(pipes(&ambassador), before, "a body went through the kernel");
    });
}

#[test]
fn unless_there_are_no_descriptors_left() {
    promise(async {
        let origin = origin();
        let ambassador = serving(origin.address()).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let mut upload = request("PUT", "/");
        *upload.body_mut() = full("small");
        connection.fetch(upload).await.expect("an answer");

        let before = pipes(&ambassador);
        let limit = Rlimit {
            current: Some(3),
            maximum: Some(3),
        };
        ambassador.limit(Resource::Nofile, limit);
        assert_whole(&mut connection).await;
        assert_eq!(pipes(&ambassador), before, "a pipe beyond the limit");
    });
}

#[test]
fn to_a_client_that_reads_slowly() {
    promise(async {
        let origin = origin();
        let ambassador = serving(origin.address()).await;
        let mut slow = Wire::connect(ambassador.address()).await;
        slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        slow.head().await.expect("a head");
        let mut body = Vec::new();
        while body.len() < SIZE {
            let piece = 10_000.min(SIZE - body.len());
            body.extend(slow.exactly(piece).await.expect("a piece"));
            if body.len() == 100_000 {
                // Others are served in between, whose bodies need pipes too.
                assert_whole_both_ways(&ambassador).await;
            }
        }
        assert!(body == pattern(), "another body");
    });
}

#[test]
fn where_one_request_follows_another_at_once() {
    promise(async {
        let origin = origin();
        let ambassador = serving(origin.address()).await;
        let upload = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
        let upload = [upload.as_bytes(), &pattern()].concat();
        let (mut reading, mut writing, _) = Wire::connect(ambassador.address()).await.split();
        let both = [&upload[..], &upload[..]].concat();
        let sent = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut writing, &both).await?;
            Ok::<_, std::io::Error>(writing)
        });
        let mut answers = String::new();
        while answers.matches("HTTP/1.1 204").count() < 2 {
            let mut some = [0; 1024];
            let read = tokio::io::AsyncReadExt::read(&mut reading, &mut some);
            let read = expect("an answer", read).await.expect("an answer");
            assert!(read > 0, "closed after {answers}");
            answers += &String::from_utf8_lossy(&some[..read]);
        }
        sent.await.expect("a task").expect("sent");
    });
}

#[test]
fn an_upload_that_is_cut_looks_cut() {
    promise(async {
        for resets in [false, true] {
            let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
            let origin = Scripted::start(move |mut wire, _| {
                let tell = tell.clone();
                async move {
                    let _ = wire.head().await;
                    let _ = wire.exactly(PART).await;
                    let _ = tell.send(None);
                    let _ = tell.send(Some(wire.rest().await));
                }
            });
            let ambassador = serving(origin.address()).await;
            let mut wire = Wire::connect(ambassador.address()).await;
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
            wire.send(head).await.expect("sent");
            wire.send(pattern().slice(..PART)).await.expect("sent");
            expect("the part", told.recv()).await;
            match resets {
                true => wire.reset(),
                false => drop(wire),
            }
            let rest = expect("the end", told.recv()).await.flatten();
            let (rest, _) = rest.expect("an end");
            assert_eq!(rest.len(), 0, "bytes that were never sent");
        }
    });
}

#[test]
fn an_answer_that_is_cut_looks_cut() {
    promise(async {
        for resets in [false, true] {
            let cut = Arc::new(Notify::new());
            let signal = Arc::clone(&cut);
            let origin = Scripted::start(move |mut wire, _| {
                let cut = Arc::clone(&cut);
                async move {
                    let _ = wire.head().await;
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
                    let _ = wire.send(head).await;
                    let _ = wire.send(pattern().slice(..PART)).await;
                    cut.notified().await;
                    if resets {
                        wire.reset();
                    }
                }
            });
            let ambassador = serving(origin.address()).await;
            let mut wire = Wire::connect(ambassador.address()).await;
            wire.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .expect("sent");
            wire.head().await.expect("a head");
            let part = wire.exactly(PART).await.expect("the part");
            assert!(part == pattern()[..PART], "another body");
            signal.notify_one();
            let (rest, ending) = wire.rest().await;
            assert_eq!((rest.len(), ending), (0, Ending::Closed));
            let line = ambassador.logged("/cut").await;
            assert_eq!(line["reason"], "http_response_incomplete", "{line}");
        }
    });
}
