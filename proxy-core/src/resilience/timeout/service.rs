//! The [`Timeout`] service and its layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, Request};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::allowance::asked;
use super::timers::{Timer, Timers};
use crate::body::{Body, End, Watch};
use crate::fault::{Fault, Reason};
use crate::telemetry::Exchange;

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A request with all its tries: the time begins with its exchange.
    Request,
    /// One try.
    Try,
}

impl Bound {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Try => "try",
        }
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Setting(Bound),
    Asked,
}

/// Wraps services in [`Timeout`].
#[derive(Debug, Clone)]
pub struct TimeoutLayer {
    limit: Option<Duration>,
    bound: Bound,
    field: Option<HeaderName>,
}

impl TimeoutLayer {
    /// Bounds a request or a try to `limit`.
    pub fn new(limit: Duration, bound: Bound) -> Self {
        Self {
            limit: Some(limit),
            bound,
            field: None,
        }
    }

    /// Bounds a request to `limit`, if there is one, or to what it asks for in `grpc-timeout` or in
    /// `field`, if that is less.
    pub fn heeding(limit: Option<Duration>, field: Option<HeaderName>) -> Self {
        Self {
            limit,
            bound: Bound::Request,
            field,
        }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            limit: self.limit,
            bound: self.bound,
            field: self.field.clone(),
            timers: Timers::default(),
        }
    }
}

/// Ends a request that has no response head after a time, with [`Reason::ResponseTimeout`].
#[derive(Debug, Clone)]
pub struct Timeout<S> {
    inner: S,
    limit: Option<Duration>,
    bound: Bound,
    field: Option<HeaderName>,
    timers: Timers,
}

impl<S, R> Service<Request<Body>> for Timeout<S>
where
    S: Service<Request<Body>, Response = R, Error = Fault>,
{
    type Response = R;
    type Error = Fault;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let exchange = request.extensions().get::<Exchange>().cloned();
        // A request begins with its exchange: no need to look at the clock again.
        let begun = match &exchange {
            Some(exchange) if self.bound == Bound::Request => exchange.started(),
            _ => Instant::now(),
        };
        let wanted = match self.bound {
            Bound::Request => asked(request.headers(), self.field.as_ref()),
            Bound::Try => None,
        };
        let asked = wanted.filter(|asked| self.limit.is_none_or(|limit| *asked < limit));
        if self.bound == Bound::Request
            && let Some(exchange) = &exchange
        {
            exchange.note_deadline(asked.or(self.limit), wanted.is_some());
        }
        // What a request asks for is all that it gets; our own limit is one of standstill.
        let moves = asked.is_none() && self.limit.is_some() && !request.body().is_end_stream();
        let upload = moves.then(|| {
            let progress = Arc::new(Progress {
                begun,
                last: AtomicU64::new(0),
            });
            request
                .body_mut()
                .watch(Box::new(Upload(Arc::clone(&progress))));
            progress
        });
        let no_time = asked.is_some_and(|asked| asked.is_zero());
        TimeoutFuture {
            inner: (!no_time).then(|| self.inner.call(request)),
            no_time,
            timer: asked
                .or(self.limit)
                .map(|limit| self.timers.start(begun + limit)),
            limit: asked.or(self.limit).unwrap_or_default(),
            bound: asked.map_or(Limit::Setting(self.bound), |_| Limit::Asked),
            upload,
            exchange,
        }
    }
}

/// When something of a request's body was handed on last.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    /// In nanoseconds since `begun`.
    last: AtomicU64,
}

impl Progress {
    fn note(&self) {
        self.last
            .store(self.begun.elapsed().as_nanos() as u64, Relaxed);
    }

    fn last(&self) -> Instant {
        self.begun + Duration::from_nanos(self.last.load(Relaxed))
    }
}

struct Upload(Arc<Progress>);

impl Watch for Upload {
    fn data(&mut self, _: usize) {
        self.0.note();
    }

    fn end(&mut self, _: End<'_>) {
        self.0.note();
    }
}

pin_project! {
    /// The response of a [`Timeout`].
    pub struct TimeoutFuture<F> {
        #[pin]
        inner: Option<F>,
        no_time: bool,
        timer: Option<Timer>,
        limit: Duration,
        bound: Limit,
        upload: Option<Arc<Progress>>,
        exchange: Option<Exchange>,
    }
}

impl<F, R> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<R, Fault>>,
{
    type Output = Result<R, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if std::mem::take(this.no_time) {
            let detail = "the request allows no time for a response";
            return Poll::Ready(Err(Fault::unseen(Reason::ResponseTimeout, detail)));
        }
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        if let Poll::Ready(done) = inner.poll(cx) {
            return Poll::Ready(done);
        }
        let Some(timer) = this.timer else {
            return Poll::Pending;
        };
        while timer.poll(cx).is_ready() {
            // An upload that went on moves the end: the time counts from its last step.
            let moved = this
                .upload
                .as_ref()
                .map(|upload| upload.last() + *this.limit);
            if let Some(later) = moved.filter(|later| *later > Instant::now()) {
                timer.reset(later);
                continue;
            }
            if let Some(exchange) = this.exchange {
                exchange.note_timeout();
            }
            // What was given up ends now, not when somebody drops this future.
            this.inner.set(None);
            let limit = this.limit;
            let detail = match this.bound {
                Limit::Setting(bound) => {
                    format!("no response within timeout.{} of {limit:?}", bound.name())
                }
                Limit::Asked => format!("no response within the {limit:?} that the request allows"),
            };
            return Poll::Ready(Err(Fault::maybe_seen(Reason::ResponseTimeout, detail)));
        }
        Poll::Pending
    }
}
