//! The [`Limit`] service and its layer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::gradient::Gradient;
use crate::body::{Body, End, Watch};
use crate::fault::{Class, Fault, Reason};

/// How many requests at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Params {
    /// So many.
    Fixed(u32),
    /// As many as are answered without getting slower.
    Adaptive,
}

/// The requests under way, and how many they may be. Shared by all workers.
#[derive(Debug)]
pub struct InFlight {
    params: Params,
    now: AtomicU32,
    limit: AtomicU32,
    gradient: Option<Mutex<Gradient>>,
}

impl InFlight {
    /// No request yet.
    pub fn new(params: Params) -> Self {
        let gradient = (params == Params::Adaptive).then(Gradient::new);
        let limit = match (&gradient, params) {
            (Some(gradient), _) => gradient.limit(),
            (None, Params::Fixed(limit)) => limit,
            (None, Params::Adaptive) => u32::MAX,
        };
        Self {
            params,
            now: AtomicU32::new(0),
            limit: AtomicU32::new(limit),
            gradient: gradient.map(Mutex::new),
        }
    }

    /// What it was made of.
    pub fn params(&self) -> Params {
        self.params
    }

    /// How many requests at once are let through now.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    fn admit(self: &Arc<Self>) -> Option<Admitted> {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        let admitted = Admitted {
            shared: Arc::clone(self),
            begun: Instant::now(),
            in_flight: now,
        };
        (now <= self.limit()).then_some(admitted)
    }

    fn observe(&self, admitted: &Admitted, answered: bool, overload: bool) {
        let Some(gradient) = &self.gradient else {
            return;
        };
        let now = Instant::now();
        let mut gradient = gradient.lock();
        // How fast a failure comes says nothing of how fast answers do.
        let latency = (answered && !overload).then(|| now - admitted.begun);
        gradient.observe(latency, admitted.in_flight, overload, now);
        self.limit.store(gradient.limit(), Relaxed);
    }
}

/// A request under way, until dropped.
#[derive(Debug)]
struct Admitted {
    shared: Arc<InFlight>,
    begun: Instant,
    in_flight: u32,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.now.fetch_sub(1, Relaxed);
    }
}

impl Watch for Admitted {
    fn end(&mut self, _: End<'_>) {}
}

/// Wraps services in [`Limit`].
#[derive(Debug, Clone)]
pub struct LimitLayer {
    shared: Arc<InFlight>,
}

impl LimitLayer {
    /// Lets through what `shared` allows.
    pub fn new(shared: Arc<InFlight>) -> Self {
        Self { shared }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Turns away what is too much, with [`Reason::ConnectionLimitReached`].
#[derive(Debug, Clone)]
pub struct Limit<S> {
    inner: S,
    shared: Arc<InFlight>,
}

impl<S> Service<Request<Body>> for Limit<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = LimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.shared.admit() {
            Some(admitted) => LimitFuture::Sent {
                inner: self.inner.call(request),
                admitted: Some(admitted),
            },
            None => {
                let limit = self.shared.limit();
                let detail = format!("{limit} requests are under way, which is limit.in-flight");
                let fault = Fault::unseen(Reason::ConnectionLimitReached, detail);
                LimitFuture::Refused { fault: Some(fault) }
            }
        }
    }
}

pin_project! {
    /// The response of [`Limit`].
    #[project = Step]
    pub enum LimitFuture<F> {
        /// The request went on.
        Sent {
            #[pin]
            inner: F,
            admitted: Option<Admitted>,
        },
        /// The request was turned away.
        Refused {
            fault: Option<Fault>,
        },
    }
}

impl<F> Future for LimitFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, admitted) = match self.project() {
            Step::Sent { inner, admitted } => (inner, admitted),
            Step::Refused { fault } => {
                return fault
                    .take()
                    .map_or(Poll::Pending, |fault| Poll::Ready(Err(fault)));
            }
        };
        let mut result = ready!(inner.poll(cx));
        let Some(admitted) = admitted.take() else {
            return Poll::Ready(result);
        };
        let answered = matches!(&result, Ok(response) if !response.status().is_server_error());
        let overload = is_overload(&result);
        admitted.shared.observe(&admitted, answered, overload);
        if let Ok(response) = &mut result {
            response.body_mut().watch(Box::new(admitted));
        }
        Poll::Ready(result)
    }
}

/// Whether the service says that it has too much to do.
fn is_overload(result: &Result<Response<Body>, Fault>) -> bool {
    match result {
        Ok(response) => [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ]
        .contains(&response.status()),
        Err(fault) => fault.reason().class() == Class::Timeout,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn a_request_counts_until_its_body_has_ended() {
        let shared = Arc::new(InFlight::new(Params::Fixed(1)));
        let mut service =
            LimitLayer::new(Arc::clone(&shared)).layer(service_fn(|_: Request<Body>| async {
                Ok::<_, Fault>(Response::new(Body::full("abc")))
            }));
        let mut call = || service.call(Request::new(Body::empty()));
        let first = call().await.unwrap();
        let fault = call().await.unwrap_err();
        assert_eq!(fault.reason(), Reason::ConnectionLimitReached);
        assert!(fault.detail().contains("limit.in-flight"), "{fault}");
        first.into_body().collect().await.unwrap();
        call().await.unwrap();
        call().await.unwrap();
        assert_eq!(shared.now.load(Relaxed), 0);
    }
}
