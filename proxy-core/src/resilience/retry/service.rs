//! The [`Retry`] service and its layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, Method, Request, Response, request};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::time::Instant;
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
    /// The longest pause that an endpoint may ask for; none: what asks for one is passed on.
    pub after: Option<Duration>,
}

/// What an entry without further keys has: two retries, of what is idempotent (RFC 9110, 9.2.2), after
/// every failure of a connection, a timeout, and 502 to 504.
impl Default for Params {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: vec![
                Condition::Connect,
                Condition::Reset,
                Condition::Timeout,
                Condition::Status(502..=504),
            ],
            methods: vec![
                Method::GET,
                Method::HEAD,
                Method::OPTIONS,
                Method::TRACE,
                Method::PUT,
                Method::DELETE,
            ],
            body: 64 << 10,
            backoff: Backoff::default(),
            after: Some(Duration::from_secs(2)),
        }
    }
}

/// Wraps services in [`Retry`]; all of them share one budget.
#[derive(Debug, Clone)]
pub struct RetryLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub struct Shared {
    params: Params,
    budget: Arc<Budget>,
    lends: bool,
}

impl RetryLayer {
    /// Retries by `params` within `budget`.
    pub fn new(params: Params, budget: Arc<Budget>) -> Self {
        Self {
            shared: Arc::new(Shared {
                params,
                budget,
                lends: false,
            }),
        }
    }

    /// The same, above a service that lays down the head of each request that it gets with its
    /// [`Exchange`], as `http::Client` does ([`Exchange::lay_down`]): heads are then not copied. A
    /// request whose head is not found there is not repeated.
    pub fn lending(params: Params, budget: Arc<Budget>) -> Self {
        Self {
            shared: Arc::new(Shared {
                params,
                budget,
                lends: true,
            }),
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
    type Future = RetryFuture<S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.shared.budget.deposit();
        let (request, original) = Original::keep(request, &self.shared);
        RetryFuture::First {
            first: self.inner.call(request),
            rest: Some((self.inner.clone(), Arc::clone(&self.shared), original)),
        }
    }
}

pin_project! {
    /// The response of [`Retry`].
    #[project = Step]
    pub enum RetryFuture<S, F> {
        /// The first try, which is nearly always the only one.
        First {
            #[pin]
            first: F,
            rest: Option<(S, Arc<Shared>, Original)>,
        },
        /// A later one.
        Again {
            again: Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>,
        },
    }
}

impl<S, F> Future for RetryFuture<S, F>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault, Future = F>
        + Send
        + 'static,
    F: Future<Output = Result<Response<Body>, Fault>> + Send + 'static,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let (first, rest) = match self.as_mut().project() {
                Step::First { first, rest } => (first, rest),
                Step::Again { again } => return again.as_mut().poll(cx),
            };
            let result = ready!(first.poll(cx));
            let Some((inner, shared, mut original)) = rest.take() else {
                return Poll::Ready(result);
            };
            let Some(cause) = shared.wants_retry(&result) else {
                original.tell(&shared.budget);
                original.let_go();
                return Poll::Ready(result);
            };
            let again = Box::pin(async move {
                // The first try is gone by now: until then it may hold what it lays down.
                original.take_up();
                let exchange = original.exchange.clone();
                let result = shared.again(inner, original, result, cause).await;
                if let Some(exchange) = exchange {
                    exchange.explained(|told| told.budget = Some(shared.budget.left()));
                }
                result
            });
            self.set(RetryFuture::Again { again });
        }
    }
}

/// A try that might be repeated: what it needs for that.
pub struct Original {
    head: Option<Box<request::Parts>>,
    body: Option<Recording>,
    exchange: Option<Exchange>,
}

impl Original {
    /// The request as it is sent first, and what is kept of it.
    fn keep(request: Request<Body>, shared: &Shared) -> (Request<Body>, Self) {
        let exchange = request.extensions().get::<Exchange>().cloned();
        let lends = shared.lends && exchange.is_some();
        let has_body = !request.body().is_end_stream();
        if lends && !has_body {
            let (head, body) = (None, None);
            return (
                request,
                Self {
                    head,
                    body,
                    exchange,
                },
            );
        }
        let (head, body) = request.into_parts();
        let kept = (!lends).then(|| Box::new(head.clone()));
        let recording = has_body.then(|| Recording::new(body, shared.params.body));
        let body = recording.as_ref().and_then(Recording::again);
        let original = Self {
            head: kept,
            body: recording,
            exchange,
        };
        let request = Request::from_parts(head, body.unwrap_or_default());
        (request, original)
    }

    /// Takes back the head of the try that has ended.
    fn take_up(&mut self) {
        if self.head.is_none()
            && let Some(exchange) = &self.exchange
            && let Some(mut head) = exchange.take_up()
        {
            head.extensions.insert(exchange.clone());
            self.head = Some(Box::new(head));
        }
    }

    /// Tells whoever asked what is left of the budget.
    fn tell(&self, budget: &Budget) {
        if let Some(exchange) = &self.exchange {
            exchange.explained(|told| told.budget = Some(budget.left()));
        }
    }

    /// Nobody needs the head any more, which would otherwise live as long as the response.
    fn let_go(self) {
        if let Some(exchange) = &self.exchange {
            drop(exchange.take_up());
        }
    }

    /// The request once more; none when its head or its body cannot be repeated.
    fn request(&self) -> Option<Request<Body>> {
        let head = self.head.as_deref()?.clone();
        let body = match &self.body {
            None => Body::empty(),
            Some(recording) => recording.again()?,
        };
        Some(Request::from_parts(head, body))
    }
}

impl Shared {
    /// Goes on after a first try that a condition wants repeated.
    async fn again<S>(
        &self,
        mut inner: S,
        mut original: Original,
        mut result: Result<Response<Body>, Fault>,
        mut cause: Option<Reason>,
    ) -> Result<Response<Body>, Fault>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
    {
        let (mut retries, mut stale) = (0, 0);
        loop {
            let is_stale = stale < STALE && matches!(&result, Err(fault) if fault.is_stale());
            let allowed = self.pause(&original, &result, retries).and_then(|pause| {
                let next = self.allow(&original, &result, retries, is_stale)?;
                Ok((next, pause))
            });
            let (next, pause) = match allowed {
                Ok(allowed) => allowed,
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
                tokio::time::sleep(pause).await;
                retries += 1;
            }
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
            result = inner.call(next).await;
            original.take_up();
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

    /// How long to wait before the next try. An endpoint that asks for a pause gets it, unless there
    /// is another one; where that is too long, the response is passed on, which says so too.
    fn pause(
        &self,
        original: &Original,
        result: &Result<Response<Body>, Fault>,
        retries: u32,
    ) -> Result<Duration, Denied> {
        let pause = self.params.backoff.pause(retries);
        let asked = match result {
            Ok(response) => retry_after(response.headers(), SystemTime::now()),
            Err(_) => None,
        };
        let exchange = original.exchange.as_ref();
        let Some(asked) = asked.filter(|_| !exchange.is_some_and(Exchange::has_alternative)) else {
            return Ok(pause);
        };
        let pause = pause + asked;
        let fits = exchange
            .and_then(Exchange::deadline)
            .is_none_or(|deadline| Instant::now() + pause < deadline);
        let is_short = self.params.after.is_some_and(|most| asked <= most);
        (fits && is_short)
            .then_some(pause)
            .ok_or(Denied::RetryAfter)
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
        // An alert may end a connection after the request was seen: its class alone says nothing.
        let unsent =
            matches!(result, Err(fault) if unseen && fault.reason().class() == Class::Connect);
        let head = original.head.as_deref().ok_or(Denied::Body)?;
        let repeatable = self.params.methods.contains(&head.method)
            || head.headers.contains_key(&IDEMPOTENCY_KEY);
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

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

impl Original {
    fn deny(&self, why: Denied) {
        if let Some(exchange) = &self.exchange {
            exchange.counters().denied(why);
            exchange.story(|story| story.denied = Some(why));
        }
    }
}
