//! A slow try is hedged once, within the budget; the better answer wins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, service_fn};

use super::*;
use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::resilience::retry::Budget;

/// Answers its n-th request after the n-th time with the n-th status; 0 is a fault.
fn scripted(
    script: &'static [(u64, u16)],
) -> (
    Arc<AtomicU32>,
    impl Service<Request<Body>, Response = Response<Body>, Error = Fault, Future: Send> + Clone + Send,
) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<Body>| {
        let (millis, status) = script[counted.fetch_add(1, Relaxed) as usize];
        async move {
            sleep(Duration::from_millis(millis)).await;
            if status == 0 {
                return Err(Fault::unseen(Reason::ConnectionRefused, "refused"));
            }
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok(response)
        }
    });
    (calls, service)
}

async fn hedged(
    script: &'static [(u64, u16)],
    share: f64,
    request: Request<Body>,
) -> (u16, u128, u32) {
    let (calls, service) = scripted(script);
    let params = Params {
        after: Duration::from_millis(100),
        methods: vec![Method::GET],
    };
    let budget = Arc::new(Budget::new(share, 0));
    let mut hedge = HedgeLayer::new(params, budget).layer(service);
    let begun = Instant::now();
    let answer = hedge.call(request).await;
    let status = answer.map_or(0, |response| response.status().as_u16());
    (status, begun.elapsed().as_millis(), calls.load(Relaxed))
}

fn get() -> Request<Body> {
    Request::new(Body::empty())
}

#[tokio::test(start_paused = true)]
async fn a_quick_try_is_not_hedged() {
    assert_eq!(hedged(&[(50, 200)], 1.0, get()).await, (200, 50, 1));
}

#[tokio::test(start_paused = true)]
async fn the_faster_answer_wins() {
    let slow_first = &[(1000, 200), (20, 200)];
    assert_eq!(hedged(slow_first, 1.0, get()).await, (200, 120, 2));
    let slow_second = &[(150, 200), (1000, 200)];
    assert_eq!(hedged(slow_second, 1.0, get()).await, (200, 150, 2));
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_waits_for_a_better_one() {
    assert_eq!(
        hedged(&[(300, 200), (20, 503)], 1.0, get()).await,
        (200, 300, 2)
    );
    assert_eq!(
        hedged(&[(150, 0), (100, 200)], 1.0, get()).await,
        (200, 200, 2)
    );
    assert_eq!(
        hedged(&[(150, 0), (100, 503)], 1.0, get()).await,
        (503, 200, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_sent_twice_is_not() {
    let slow = &[(1000, 200), (1, 200)];
    assert_eq!(hedged(slow, 0.0, get()).await, (200, 1000, 1), "no budget");
    let mut post = get();
    *post.method_mut() = Method::POST;
    assert_eq!(hedged(slow, 1.0, post).await, (200, 1000, 1));
    let body = Request::new(Body::full("abc"));
    assert_eq!(hedged(slow, 1.0, body).await, (200, 1000, 1));
}
