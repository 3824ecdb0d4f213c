//! The [`Retry`] service and its layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Method, Request, Response, request};
use http_body::Body as _;
use tower::{Layer, Service};

use super::replay::Recording;
use super::{Backoff, Budget, Condition};
use crate::body::Body;
use crate::fault::{Class, Fault, Reason, Seen};
use crate::telemetry::{Denied, Exchange};

/// A client that sends this field says that its request may be repeated (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How many stale connections one request may meet without spending an attempt. Its next try goes
/// out on a new connection, so there is no second one.
const STALE: u32 = 1;

/// What is sent again, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Retries of one request at the most.
    pub attempts: u32,
    /// When a try is worth repeating.
    pub on: Vec<Condition>,
    /// Methods that may be repeated although an upstream may have acted on them.
    pub methods: Vec<Method>,
    /// Bytes of a body that are kept for a retry.
    pub body: usize,
    /// Pauses between tries.
    pub backoff: Backoff,
}

/// Wraps services in [`Retry`]; all of them share one budget.
#[derive(Debug, Clone)]
pub struct RetryLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    params: Params,
    budget: Arc<Budget>,
}

impl RetryLayer {
    /// Retries by `params` within `budget`.
    pub fn new(params: Params, budget: Arc<Budget>) -> Self {
        Self {
            shared: Arc::new(Shared { params, budget }),
        }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Sends a request again where [the module](super) says so.
#[derive(Debug, Clone)]
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        shared.budget.deposit();
        let original = Original::new(request, shared.params.body);
        // The first try begins before there is a future of ours, because every move of a request costs.
        let first = self.inner.call(original.request().unwrap_or_default());
        let inner = self.inner.clone();
        Box::pin(async move {
            let result = first.await;
            match shared.wants_retry(&result) {
                None => result,
                Some(cause) => shared.again(inner, original, result, cause).await,
            }
        })
    }
}

/// A try that might be repeated: what it needs for that.
struct Original {
    head: request::Parts,
    body: Option<Recording>,
    exchange: Option<Exchange>,
}

impl Original {
    fn new(request: Request<Body>, limit: usize) -> Self {
        let exchange = request.extensions().get::<Exchange>().cloned();
        let (head, body) = request.into_parts();
        let body = (!body.is_end_stream()).then(|| Recording::new(body, limit));
        Self {
            head,
            body,
            exchange,
        }
    }

    /// The request once more; none when its body cannot be repeated.
    fn request(&self) -> Option<Request<Body>> {
        let body = match &self.body {
            None => Body::empty(),
            Some(recording) => recording.again()?,
        };
        Some(Request::from_parts(self.head.clone(), body))
    }
}

impl Shared {
    /// Goes on after a first try that a condition wants repeated.
    async fn again<S>(
        &self,
        mut inner: S,
        original: Original,
        mut result: Result<Response<Body>, Fault>,
        mut cause: Option<Reason>,
    ) -> Result<Response<Body>, Fault>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
    {
        let (mut retries, mut stale) = (0, 0);
        loop {
            let is_stale = stale < STALE && matches!(&result, Err(fault) if fault.is_stale());
            let next = match self.allow(&original, &result, retries, is_stale) {
                Ok(request) => request,
                Err(why) => {
                    original.deny(why);
                    return result;
                }
            };
            if let Some(exchange) = &original.exchange {
                exchange.counters().retry(cause);
            }
            drop(result);
            if is_stale {
                stale += 1;
                if let Some(exchange) = &original.exchange {
                    exchange.want_fresh();
                }
            } else {
                tokio::time::sleep(self.params.backoff.pause(retries)).await;
                retries += 1;
            }
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
            result = inner.call(next).await;
            match self.wants_retry(&result) {
                None => return result,
                Some(another) => cause = another,
            }
        }
    }

    /// Whether a condition asks for a retry: `Some` of the fault's reason, or of none for a status.
    fn wants_retry(&self, result: &Result<Response<Body>, Fault>) -> Option<Option<Reason>> {
        let mut conditions = self.params.on.iter();
        match result {
            Ok(response) => conditions
                .any(|c| c.matches_response(response.status(), response.headers()))
                .then_some(None),
            Err(fault) => conditions
                .any(|c| c.matches_fault(fault))
                .then_some(Some(fault.reason())),
        }
    }

    /// The next request, or why there is none. The budget is asked last: only a retry that is made
    /// spends it. A try that found no connection added nothing to anybody's load, and one that met
    /// a connection that was being closed most likely neither: repeating it is free.
    fn allow(
        &self,
        original: &Original,
        result: &Result<Response<Body>, Fault>,
        retries: u32,
        is_stale: bool,
    ) -> Result<Request<Body>, Denied> {
        if retries >= self.params.attempts && !is_stale {
            return Err(Denied::Attempts);
        }
        let unseen = matches!(result, Err(fault) if fault.seen() == Seen::No);
        let unsent = matches!(result, Err(fault) if fault.reason().class() == Class::Connect);
        let repeatable = self.params.methods.contains(&original.head.method)
            || original.head.headers.contains_key(&IDEMPOTENCY_KEY);
        if !unseen && !repeatable {
            return Err(Denied::Unsafe);
        }
        let request = original.request().ok_or(Denied::Body)?;
        if unsent || is_stale || self.budget.withdraw() {
            Ok(request)
        } else {
            Err(Denied::Budget)
        }
    }
}

impl Original {
    fn deny(&self, why: Denied) {
        if let Some(exchange) = &self.exchange {
            exchange.counters().denied(why);
            exchange.story(|story| story.denied = Some(why));
        }
    }
}
