//! An upstream that closes idle connections just as requests arrive: no GET fails, and no POST is
//! ever seen twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, get, post};
use remora_tests::load::Load;
use remora_tests::promise::promise;
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;

/// The targets that have been read, with how often.
type Seen = Arc<Mutex<HashMap<String, usize>>>;

/// How an upstream ends a connection that it has answered on.
#[derive(Clone, Copy)]
enum End {
    /// A moment after the answer, whether or not another request has come by then.
    After(Duration),
    /// When the next request arrives, without reading it: the kernel sends a reset.
    Unread,
    /// When the next request has been read, without an answer.
    Read,
}

#[test]
fn closing_a_moment_after_each_answer() {
    promise(async {
        for microseconds in [0, 200, 1_000, 3_000] {
            gets_survive(End::After(Duration::from_micros(microseconds)), 300).await;
        }
    });
}

#[test]
fn closing_when_the_next_request_arrives() {
    promise(gets_survive(End::Unread, 300));
}

#[test]
fn closing_when_the_next_request_has_been_read() {
    promise(gets_survive(End::Read, 300));
}

#[test]
fn without_retries_after_more_than_a_second_of_idleness() {
    promise(async {
        for end in [End::Unread, End::Read] {
            let (origin, _) = origin(end);
            let settings = format!("to: http://{}\nretry: off", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            let mut connection = open(&ambassador).await;
            for number in 0..3 {
                let reply = connection.fetch(numbered(number)).await.expect("an answer");
                assert_eq!(reply.status, 200, "{}", reply.text());
                tokio::time::sleep(Duration::from_millis(1_200)).await;
            }
        }
    });
}

#[test]
fn a_post_is_never_seen_twice_and_always_answered() {
    promise(async {
        for end in [
            End::After(Duration::from_micros(200)),
            End::Unread,
            End::Read,
        ] {
            let (origin, seen) = origin(end);
            let ambassador = serving(&origin).await;
            let mut answered = 0;
            let mut connection = open(&ambassador).await;
            for number in 0..100 {
                if !connection.is_open() {
                    connection = open(&ambassador).await;
                }
                let reply = connection.fetch(post(&format!("/{number}"), "once")).await;
                let reply = reply.expect("a POST is answered, whatever happens");
                match reply.status.as_u16() {
                    200 => answered += 1,
                    502 | 503 => assert_ne!(reply.proxy_error(), "", "{:?}", reply.headers),
                    other => panic!("status {other}: {}", reply.text()),
                }
            }
            assert!(
                answered >= 50,
                "only {answered} of 100 were answered by the origin"
            );
            let seen = seen.lock().expect("no panic");
            let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "seen more than once: {twice:?}");
        }
    });
}

async fn gets_survive(end: End, count: usize) {
    let (origin, _) = origin(end);
    let ambassador = serving(&origin).await;
    let load = Load::start(ambassador.address(), 150, numbered);
    load.done(count).await;
    load.stop().await.assert_none_failed();
    // A stale connection says nothing about the endpoint's health.
    let metrics = ambassador.metrics().await;
    assert_eq!(metrics.sum("remora_ejections_total", &[]), 0.0);
}

fn numbered(number: usize) -> Request<Body> {
    get(&format!("/{number}"))
}

async fn serving(origin: &Scripted) -> Ambassador {
    Ambassador::serving(&format!("to: http://{}", origin.address())).await
}

async fn open(ambassador: &Ambassador) -> Connection {
    Connection::open(ambassador.address(), Protocol::Http1)
        .await
        .expect("open")
}

fn origin(end: End) -> (Scripted, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let origin = Scripted::start(move |mut wire, _| {
        let seen = Arc::clone(&seen);
        async move {
            if answer(&mut wire, &seen, true).await.is_none() {
                return;
            }
            match end {
                End::After(time) => tokio::time::sleep(time).await,
                End::Unread => wire.readable().await,
                End::Read => {
                    answer(&mut wire, &seen, false).await;
                }
            }
        }
    });
    (origin, kept)
}

/// Reads a request, notes it, and answers it if `reply` says so.
async fn answer(wire: &mut Wire, seen: &Seen, reply: bool) -> Option<()> {
    let head = wire.head().await.ok()?;
    if head.starts_with("POST") {
        wire.exactly("once".len()).await.ok()?;
    }
    let target = head.split(' ').nth(1)?.to_owned();
    *seen.lock().ok()?.entry(target).or_default() += 1;
    if reply {
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .ok()?;
    }
    Some(())
}
