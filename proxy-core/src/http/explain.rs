//! Tells whoever asks what happened to a request: entry, tries and why, times, what is left of the retry budget.
//!
//! A request asks with the field `x-remora-explain`, which goes no further; the response, one that the
//! proxy made itself included, carries the answer in the field of the same name, as JSON. Who may ask
//! is configured: an explanation names addresses.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use serde::Serialize;
use tower::{Layer, Service};

use crate::body::Body;
use crate::telemetry::Exchange;

const EXPLAIN: HeaderName = HeaderName::from_static("x-remora-explain");

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Whoever can connect.
    All,
    /// Whoever connects from the same machine, unless an inbound entry is told of a caller behind.
    Local,
    /// Nobody; the field still goes no further.
    Nobody,
}

impl Allowed {
    /// Whether whoever sent this request may.
    pub fn permits(self, exchange: &Exchange) -> bool {
        match self {
            Self::All => true,
            Self::Local => exchange.peer().is_some_and(is_local) && !exchange.is_passed_on(),
            Self::Nobody => false,
        }
    }
}

/// Wraps services in [`Explain`].
#[derive(Debug, Clone)]
pub struct ExplainLayer {
    entry: Arc<str>,
    allowed: Allowed,
}

impl ExplainLayer {
    /// Explains requests of this entry to those who may ask.
    pub fn new(entry: Arc<str>, allowed: Allowed) -> Self {
        Self { entry, allowed }
    }
}

impl<S> Layer<S> for ExplainLayer {
    type Service = Explain<S>;

    fn layer(&self, inner: S) -> Explain<S> {
        Explain {
            inner,
            entry: Arc::clone(&self.entry),
            allowed: self.allowed,
        }
    }
}

/// Answers the question that a request asks besides.
#[derive(Debug, Clone)]
pub struct Explain<S> {
    inner: S,
    entry: Arc<str>,
    allowed: Allowed,
}

fn is_local(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

impl<S> Service<Request<Body>> for Explain<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ExplainFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut asked = None;
        if request.headers().contains_key(&EXPLAIN) {
            request.headers_mut().remove(&EXPLAIN);
            let exchange = request.extensions().get::<Exchange>().cloned();
            asked = exchange.filter(|exchange| self.allowed.permits(exchange));
            asked.iter().for_each(Exchange::explain);
        }
        ExplainFuture {
            inner: self.inner.call(request),
            allowed: self.allowed,
            asked: asked.map(|exchange| (exchange, Arc::clone(&self.entry))),
        }
    }
}

pin_project! {
    /// The response of [`Explain`].
    pub struct ExplainFuture<F> {
        #[pin]
        inner: F,
        allowed: Allowed,
        asked: Option<(Exchange, Arc<str>)>,
    }
}

impl<F> Future for ExplainFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if let Some((exchange, entry)) = this.asked.take()
            // Of a caller behind it was told below.
            && this.allowed.permits(&exchange)
            && let Some(answer) = answer(&exchange, &entry)
        {
            response.headers_mut().insert(EXPLAIN, answer);
        }
        Poll::Ready(Ok(response))
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    entry: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    path: Option<&'a str>,
    elapsed_ms: f64,
    tries: Vec<Try<'a>>,
    reason: Option<&'a str>,
    detail: Option<&'a str>,
    retry_denied: Option<&'a str>,
    budget_left: Option<f64>,
}

#[derive(Serialize)]
struct Try<'a> {
    endpoint: String,
    at_ms: f64,
    took_ms: f64,
    outcome: &'a str,
}

fn answer(exchange: &Exchange, entry: &str) -> Option<HeaderValue> {
    let text = exchange.story(|story| {
        let explained = story.explained.as_deref()?;
        let tries = explained.tries.iter().map(|tried| Try {
            endpoint: tried.endpoint.to_string(),
            at_ms: milliseconds(tried.at),
            took_ms: milliseconds(tried.took),
            outcome: &tried.outcome,
        });
        let fault = story.fault.as_ref();
        let answer = Answer {
            entry,
            route: story.route.as_deref(),
            path: explained.path.as_deref(),
            elapsed_ms: milliseconds(exchange.started().elapsed()),
            tries: tries.collect(),
            reason: fault.map(|(reason, _)| reason.token()),
            detail: fault.map(|(_, detail)| detail.as_str()),
            retry_denied: story.denied.map(|denied| denied.token()),
            budget_left: explained.budget,
        };
        serde_json::to_string(&answer).ok()
    })?;
    // A field value is ASCII; what else an error's text may hold is of no use to a program.
    let ascii: String = text
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    HeaderValue::from_str(&ascii).ok()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
