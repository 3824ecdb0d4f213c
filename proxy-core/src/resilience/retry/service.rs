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
use crate::fault::{Fault, Reason, Seen};
use crate::telemetry::{Denied, Exchange};

/// A client that sends this field says that its request may be repeated (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How many stale connections one request may meet without spending an attempt.
const STALE: u32 = 3;

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
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.inner.clone();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.run(inner, request).await })
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
    async fn run<S>(&self, mut inner: S, request: Request<Body>) -> Result<Response<Body>, Fault>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
    {
        self.budget.deposit();
        let original = Original::new(request, self.params.body);
        let mut next = original.request().unwrap_or_default();
        let (mut retries, mut stale) = (0, 0);
        loop {
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
            let result = inner.call(next).await;
            let Some(cause) = self.wants_retry(&result) else {
                return result;
            };
            let is_stale = stale < STALE && matches!(&result, Err(fault) if fault.is_stale());
            next = match self.allow(&original, &result, retries, is_stale) {
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
                continue;
            }
            tokio::time::sleep(self.params.backoff.pause(retries)).await;
            retries += 1;
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
    /// spends it. A try of which nothing was sent, and one that met a connection that was being
    /// closed, added nothing to an upstream's load: repeating it is free.
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
        let repeatable = self.params.methods.contains(&original.head.method)
            || original.head.headers.contains_key(&IDEMPOTENCY_KEY);
        if !unseen && !repeatable {
            return Err(Denied::Unsafe);
        }
        let request = original.request().ok_or(Denied::Body)?;
        if unseen || is_stale || self.budget.withdraw() {
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
