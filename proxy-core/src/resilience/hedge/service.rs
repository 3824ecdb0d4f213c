//! The [`Hedge`] service and its layer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body::Body as _;
use tower::{Layer, Service};

use crate::body::Body;
use crate::fault::Fault;
use crate::resilience::retry::Budget;
use crate::telemetry::Exchange;

/// What is hedged, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// How long the first try is waited for.
    pub after: Duration,
    /// The methods that may be sent twice.
    pub methods: Vec<Method>,
}

/// Wraps services in [`Hedge`]; all of them share one budget.
#[derive(Debug, Clone)]
pub struct HedgeLayer {
    params: Arc<Params>,
    budget: Arc<Budget>,
}

impl HedgeLayer {
    /// Hedges by `params` within `budget`.
    pub fn new(params: Params, budget: Arc<Budget>) -> Self {
        let params = Arc::new(params);
        Self { params, budget }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Hedge<S> {
        Hedge {
            inner,
            params: Arc::clone(&self.params),
            budget: Arc::clone(&self.budget),
        }
    }
}

/// Sends a second try where [the module](super) says so.
#[derive(Debug, Clone)]
pub struct Hedge<S> {
    inner: S,
    params: Arc<Params>,
    budget: Arc<Budget>,
}

type Answer = Result<Response<Body>, Fault>;

impl<S> Service<Request<Body>> for Hedge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // A retry is no further request: only the first try earns.
        let exchange = request.extensions().get::<Exchange>();
        if exchange.is_none_or(|exchange| exchange.story(|story| story.tried.is_empty())) {
            self.budget.deposit();
        }
        if !request.body().is_end_stream() || !self.params.methods.contains(request.method()) {
            return Box::pin(self.inner.call(request));
        }
        let mut copy = Request::new(Body::empty());
        copy.method_mut().clone_from(request.method());
        copy.uri_mut().clone_from(request.uri());
        *copy.version_mut() = request.version();
        copy.headers_mut().clone_from(request.headers());
        copy.extensions_mut().clone_from(request.extensions());
        let first = Box::pin(self.inner.call(request));
        let (inner, after) = (self.inner.clone(), self.params.after);
        let budget = Arc::clone(&self.budget);
        Box::pin(async move {
            let mut first = first;
            if let Ok(answer) = tokio::time::timeout(after, first.as_mut()).await {
                return answer;
            }
            if !budget.withdraw() {
                return first.await;
            }
            race(first, inner, copy).await
        })
    }
}

/// Sends `copy`, and returns the first answer that is good, or the last one.
async fn race<F, S>(first: Pin<Box<F>>, mut inner: S, copy: Request<Body>) -> Answer
where
    F: Future<Output = Answer>,
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    let exchange = copy.extensions().get::<Exchange>().cloned();
    let (mut first, mut second) = (Some(first), None);
    let before =
        (exchange.as_ref()).map_or(0, |exchange| exchange.story(|story| story.tried.len()));
    if std::future::poll_fn(|cx| inner.poll_ready(cx))
        .await
        .is_ok()
    {
        second = Some(Box::pin(inner.call(copy)));
    }
    let (answer, second_won) = std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = poll_runner(&mut first, cx)
            && (second.is_none() || is_good(&answer))
        {
            return Poll::Ready((answer, false));
        }
        match poll_runner(&mut second, cx) {
            Poll::Ready(answer) if first.is_none() || is_good(&answer) => {
                Poll::Ready((answer, true))
            }
            _ => Poll::Pending,
        }
    })
    .await;
    if let Some(exchange) = &exchange {
        exchange.counters().hedged(second_won && is_good(&answer));
        exchange.note_outrun(true);
    }
    drop((first, second));
    if let Some(exchange) = &exchange {
        exchange.note_outrun(false);
    }
    if let Some(exchange) = exchange.as_ref().filter(|_| !second_won && before > 0) {
        // The last of them is where the answer comes from.
        exchange.story(|story| {
            if let Some(last) = story
                .tried
                .len()
                .checked_sub(1)
                .filter(|last| *last >= before)
            {
                story.tried.swap(before - 1, last);
            }
        });
    }
    answer
}

/// Polls a try that is still running; one that has ended is gone.
fn poll_runner<F>(runner: &mut Option<Pin<Box<F>>>, cx: &mut Context<'_>) -> Poll<Answer>
where
    F: Future<Output = Answer>,
{
    let Some(running) = runner else {
        return Poll::Pending;
    };
    let polled = running.as_mut().poll(cx);
    if polled.is_ready() {
        *runner = None;
    }
    polled
}

fn is_good(answer: &Answer) -> bool {
    matches!(answer, Ok(response) if !response.status().is_server_error())
}
