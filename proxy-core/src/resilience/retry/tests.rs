//! What is sent again, how often, and what forbids it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, service_fn};

use super::*;
use crate::body::Body;
use crate::fault::{Fault, Reason};

fn params() -> Params {
    Params {
        attempts: 2,
        on: vec![
            Condition::Connect,
            Condition::Reset,
            Condition::Status(502..=504),
        ],
        methods: vec![Method::GET, Method::PUT],
        body: 8,
        backoff: Backoff {
            base: Duration::from_millis(25),
            max: Duration::from_millis(250),
        },
        after: Some(Duration::from_secs(2)),
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Unseen,
    Reset,
}

/// Sends `request` through the layer to a service that reads the body and then gives `answers` in turn, the last for ever.
async fn send(
    request: Request<Body>,
    budget: Budget,
    answers: &'static [Answer],
) -> (Result<StatusCode, Reason>, usize, Vec<String>) {
    let tries = Arc::new(AtomicUsize::new(0));
    let bodies = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (counted, seen) = (Arc::clone(&tries), Arc::clone(&bodies));
    let service = service_fn(move |request: Request<Body>| {
        let answer = answers[counted.fetch_add(1, Relaxed).min(answers.len() - 1)];
        let seen = Arc::clone(&seen);
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            seen.lock()
                .push(String::from_utf8_lossy(&body).into_owned());
            match answer {
                Answer::Status(code) => Ok(Response::builder()
                    .status(code)
                    .body(Body::empty())
                    .unwrap()),
                Answer::Unseen => Err(Fault::unseen(Reason::ConnectionRefused, "refused")),
                Answer::Reset => Err(Fault::maybe_seen(Reason::ConnectionTerminated, "reset")),
            }
        }
    });
    let mut retry = RetryLayer::new(params(), Arc::new(budget)).layer(service);
    let result = retry
        .call(request)
        .await
        .map(|r| r.status())
        .map_err(|f| f.reason());
    let bodies = bodies.lock().clone();
    (result, tries.load(Relaxed), bodies)
}

fn request(method: Method, body: &'static str) -> Request<Body> {
    let body = if body.is_empty() {
        Body::empty()
    } else {
        Body::full(body)
    };
    Request::builder()
        .method(method)
        .uri("/")
        .body(body)
        .unwrap()
}

fn plenty() -> Budget {
    Budget::new(10.0, 0)
}

#[tokio::test(start_paused = true)]
async fn a_failed_get_is_sent_again_until_it_succeeds_or_attempts_end() {
    use Answer::*;
    let (result, tries, _) = send(
        request(Method::GET, ""),
        plenty(),
        &[Status(503), Reset, Status(200)],
    )
    .await;
    assert_eq!((result, tries), (Ok(StatusCode::OK), 3));
    let (result, tries, _) = send(request(Method::GET, ""), plenty(), &[Status(503)]).await;
    assert_eq!((result, tries), (Ok(StatusCode::SERVICE_UNAVAILABLE), 3));
}

#[tokio::test(start_paused = true)]
async fn a_status_outside_the_conditions_is_an_answer() {
    let (result, tries, _) = send(request(Method::GET, ""), plenty(), &[Answer::Status(500)]).await;
    assert_eq!((result, tries), (Ok(StatusCode::INTERNAL_SERVER_ERROR), 1));
}

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_again_only_when_nothing_of_it_was_seen() {
    use Answer::*;
    let (result, tries, _) =
        send(request(Method::POST, "x"), plenty(), &[Unseen, Status(200)]).await;
    assert_eq!((result, tries), (Ok(StatusCode::OK), 2));
    for answer in [&[Reset, Status(200)], &[Status(503), Status(200)]] {
        let (_, tries, _) = send(request(Method::POST, "x"), plenty(), answer).await;
        assert_eq!(tries, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_makes_a_post_repeatable() {
    let mut post = request(Method::POST, "x");
    post.headers_mut()
        .insert("idempotency-key", "7".parse().unwrap());
    let (result, tries, _) = send(post, plenty(), &[Answer::Reset, Answer::Status(200)]).await;
    assert_eq!((result, tries), (Ok(StatusCode::OK), 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_replayed_up_to_the_limit() {
    let answers = &[Answer::Reset, Answer::Status(200)];
    let (_, _, bodies) = send(request(Method::PUT, "12345678"), plenty(), answers).await;
    assert_eq!(bodies, ["12345678", "12345678"]);
    let (result, _, bodies) = send(request(Method::PUT, "123456789"), plenty(), answers).await;
    assert_eq!(bodies, ["123456789"]);
    assert_eq!(result, Err(Reason::ConnectionTerminated));
}

#[tokio::test(start_paused = true)]
async fn without_budget_there_is_no_retry() {
    let (result, tries, _) = send(
        request(Method::GET, ""),
        Budget::new(0.2, 0),
        &[Answer::Status(503)],
    )
    .await;
    assert_eq!((result, tries), (Ok(StatusCode::SERVICE_UNAVAILABLE), 1));
}
