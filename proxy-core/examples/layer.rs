//! Timeouts and retries within a budget, as tower layers around a service that is all the reader's own.
//!
//! Run it with `cargo run -p proxy-core --example layer`. No network is used. A service fits when it
//! takes a `Request<Body>` and fails with a `Fault`: whoever makes the fault knows whether the
//! request may have been acted upon, and so whether it may be sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use proxy_core::body::Body;
use proxy_core::fault::{Fault, Reason};
use proxy_core::resilience::retry::{self, Budget, RetryLayer};
use proxy_core::resilience::timeout::{Bound, TimeoutLayer};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// Calls of the service since they were last asked for.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// The reader's own service. `/flaky` refuses its first call, sleeps through its second, and
/// answers the third; `/down` answers 503 to everything.
async fn users(request: Request<Body>) -> Result<Response<Body>, Fault> {
    let call = CALLS.fetch_add(1, Relaxed);
    let mut status = StatusCode::OK;
    match (request.uri().path(), call) {
        ("/flaky", 0) => return Err(Fault::unseen(Reason::ConnectionRefused, "not up yet")),
        ("/flaky", 1) => tokio::time::sleep(Duration::from_secs(60)).await,
        ("/down", _) => status = StatusCode::SERVICE_UNAVAILABLE,
        _ => {}
    }
    let mut response = Response::new(Body::full("hello"));
    *response.status_mut() = status;
    Ok(response)
}

/// The layers, outermost first.
fn with_layers(
    budget: &Arc<Budget>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Fault, Future: Send>
+ Clone
+ Send
+ 'static {
    let params = retry::Params {
        attempts: 2,
        ..retry::Params::default()
    };
    ServiceBuilder::new()
        // All tries together, and the pauses between them.
        .layer(TimeoutLayer::new(Duration::from_secs(5), Bound::Request))
        // Sends again what failed, as far as that is safe and the budget lasts.
        .layer(RetryLayer::new(params, Arc::clone(budget)))
        // One try: what takes longer is given up, and the retry above may repeat it.
        .layer(TimeoutLayer::new(Duration::from_millis(50), Bound::Try))
        .service(service_fn(users))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // Retries are at most a fifth of the requests. A floor of some a second could be added.
    let budget = Arc::new(Budget::new(0.2, 0));
    let service = with_layers(&budget);
    let send = |method: Method, path: &'static str| {
        let (service, mut request) = (service.clone(), Request::new(Body::empty()));
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        // Services and their futures are `Send`: each request may run on any thread.
        tokio::spawn(service.oneshot(request))
    };

    for _ in 0..10 {
        show("GET /users", send(Method::GET, "/users").await);
    }
    println!("retries earned: {:.1}", budget.left());

    // The refused try costs nothing, because nobody saw the request; the slow one costs a retry.
    show("GET /flaky", send(Method::GET, "/flaky").await);
    println!("retries left: {:.1}", budget.left());

    // A POST that may have been acted upon is not sent again.
    show("POST /down", send(Method::POST, "/down").await);

    // Two retries each would be 300 calls. An outage must not be made worse by those who suffer it.
    let requests: Vec<_> = (0..100).map(|_| send(Method::GET, "/down")).collect();
    for request in requests {
        let _ = request.await;
    }
    let calls = CALLS.swap(0, Relaxed);
    println!("100 requests of a service that is down: {calls} calls");
}

/// Prints how a request went, and forgets its calls.
fn show<E>(what: &str, answer: Result<Result<Response<Body>, Fault>, E>) {
    let calls = CALLS.swap(0, Relaxed);
    match answer {
        Ok(Ok(response)) => println!("{what}: {}, calls: {calls}", response.status()),
        Ok(Err(fault)) => println!("{what}: {}, calls: {calls}", fault.story()),
        Err(_) => println!("{what}: given up"),
    }
}
