//! A request is tried again only when that cannot do harm, and only with its whole body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Reply, full, get, once, post, request};
use remora_tests::origin::{Origin, ok, slow, status};
use remora_tests::promise::promise;
use remora_tests::scripted::{Scripted, refusing};

fn put(body: Vec<u8>) -> Request<Body> {
    let mut request = request("PUT", "/put");
    *request.body_mut() = full(body);
    request
}

/// An upstream that reads all of a request's body, then fails the first `times` times.
fn failing_first(times: usize) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            let body = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes());
            match body {
                Ok(body) if number >= times => ok(format!("got {}", body.len())),
                _ => status(503),
            }
        }
    })
}

async fn serving(origin: &Origin, more: &str) -> Ambassador {
    Ambassador::serving(&format!("to: http://{}\n{more}", origin.address())).await
}

async fn send(ambassador: &Ambassador, request: Request<Body>) -> Reply {
    once(ambassador.address(), request)
        .await
        .expect("an answer")
}

async fn denied(ambassador: &Ambassador, why: &str) -> f64 {
    ambassador
        .metrics()
        .await
        .sum("remora_retries_denied_total", &[("why", why)])
}

#[test]
fn a_post_that_was_answered_is_not_retried() {
    promise(async {
        let origin = failing_first(1);
        let ambassador = serving(&origin, "").await;
        let reply = send(&ambassador, post("/", "x")).await;
        assert_eq!((reply.status.as_u16(), origin.count()), (503, 1));
        assert_eq!(
            reply.text(),
            "503\n",
            "the origin's own answer is passed on"
        );
        assert_eq!(denied(&ambassador, "unsafe").await, 1.0);
    });
}

#[test]
fn a_post_that_was_read_and_reset_is_not_retried() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
            let _ = wire.exactly(1).await;
            wire.reset();
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let reply = send(&ambassador, post("/", "x")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (502, "connection_terminated")
        );
        assert_eq!(origin.connections(), 1);
        assert_eq!(denied(&ambassador, "unsafe").await, 1.0);
    });
}

#[test]
fn a_post_that_was_never_sent_is_retried_elsewhere() {
    promise(refused_once(vec![7]));
}

#[test]
fn a_body_beyond_the_limit_of_which_nothing_was_sent_is_sent_again() {
    promise(refused_once(vec![7; 1024 * 1024]));
}

/// Sends POSTs of `body` to two endpoints, one of which refuses connections.
async fn refused_once(body: Vec<u8>) {
    let (nobody, _held) = refusing();
    let origin = failing_first(0);
    let settings = format!(
        "to: ['http://{nobody}', 'http://{}']\neject: off\nretry: {{floor: 1000/s}}",
        origin.address()
    );
    let ambassador = Ambassador::serving(&settings).await;
    for _ in 0..20 {
        let reply = send(&ambassador, post("/", body.clone())).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.text(), format!("got {}", body.len()));
    }
    assert_eq!(origin.count(), 20);
    let retried = ambassador.metrics().await.sum("remora_retries_total", &[]);
    assert!(retried > 0.0, "the other endpoint was never picked");
}

#[test]
fn a_get_is_retried_until_the_attempts_are_spent() {
    promise(async {
        let origin = failing_first(2);
        let ambassador = serving(&origin, "").await;
        assert_eq!(send(&ambassador, get("/")).await.status, 200);
        assert_eq!(origin.count(), 3);

        let origin = failing_first(3);
        let ambassador = serving(&origin, "").await;
        assert_eq!(send(&ambassador, get("/")).await.status, 503);
        assert_eq!(origin.count(), 3);
        assert_eq!(denied(&ambassador, "attempts").await, 1.0);
    });
}

#[test]
fn retry_off_means_one_try() {
    promise(async {
        let origin = failing_first(1);
        let ambassador = serving(&origin, "retry: off").await;
        assert_eq!(send(&ambassador, get("/")).await.status, 503);
        assert_eq!(origin.count(), 1);
    });
}

#[test]
fn a_body_within_the_limit_is_sent_again_whole() {
    promise(async {
        let origin = failing_first(2);
        let ambassador = serving(&origin, "").await;
        let reply = send(&ambassador, put(vec![7; 64 * 1024])).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (200, "got 65536")
        );
    });
}

#[test]
fn a_body_beyond_the_limit_is_sent_once() {
    promise(async {
        let origin = failing_first(1);
        let ambassador = serving(&origin, "").await;
        let reply = send(&ambassador, put(vec![7; 64 * 1024 + 1])).await;
        assert_eq!((reply.status.as_u16(), origin.count()), (503, 1));
        assert_eq!(denied(&ambassador, "body").await, 1.0);
    });
}

#[test]
fn a_try_that_takes_too_long_is_retried() {
    promise(async {
        let count = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            slow(if first {
                Duration::from_secs(60)
            } else {
                Duration::ZERO
            })
        });
        let ambassador = serving(&origin, "timeout: {try: 300ms}").await;
        assert_eq!(send(&ambassador, get("/")).await.status, 200);
        assert_eq!(origin.count(), 2);
        let metrics = ambassador.metrics().await;
        assert_eq!(
            metrics.sum("remora_retries_total", &[("entry", "users")]),
            1.0
        );
    });
}

/// An address whose connections are neither made nor refused, as long as the rest is held.
fn silent() -> (std::net::SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = socket();
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    listener.bind(&any.into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().expect("bound");
    let mut held = vec![listener];
    // Whatever the kernel takes is taken; the next one gets no answer.
    for _ in 0..4 {
        let filling = socket();
        filling.set_nonblocking(true).expect("set");
        let _ = filling.connect(&address);
        held.push(filling);
    }
    (address.as_socket().expect("an address"), held)
}

#[test]
fn a_try_that_takes_too_long_to_connect_is_retried() {
    promise(async {
        let (nobody, _held) = silent();
        let origin = failing_first(0);
        let settings = format!(
            "to: ['http://{nobody}', 'http://{}']\neject: off\n\
             timeout: {{try: 300ms, connect: 10s}}\nretry: {{floor: 1000/s}}",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        for number in 0..20 {
            let reply = send(
                &ambassador,
                if number % 2 == 0 {
                    get("/")
                } else {
                    put(vec![7; 9])
                },
            );
            assert_eq!(reply.await.status, 200);
        }
        let retried = ambassador.metrics().await.sum("remora_retries_total", &[]);
        assert!(retried > 0.0, "the silent endpoint was never picked");
    });
}
