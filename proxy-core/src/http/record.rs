//! Opens and closes the record of each exchange: metrics, and the access-log line.
//!
//! The record closes when the response's body ends, not when its head is sent; an exchange that is
//! given up earlier is recorded with status 499, as nginx calls it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use http::header::{HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use pin_project_lite::pin_project;
use serde::Serialize;
use tower::{Layer, Service};

use crate::body::{Body, End, Watch};
use crate::fault::{Fault, Reason};
use crate::telemetry::{AccessLog, EntryCounters, Exchange, Story, timestamp, trace_id, traced};

/// The status of an exchange that its client gave up.
const ABORTED: u16 = 499;

/// Wraps services in [`Record`].
#[derive(Debug, Clone)]
pub struct RecordLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    entry: Arc<str>,
    counters: Arc<EntryCounters>,
    log: AccessLog,
}

impl RecordLayer {
    /// Counts the entry's exchanges in `counters` and writes those that it wants to `log`.
    pub fn new(entry: Arc<str>, counters: Arc<EntryCounters>, log: AccessLog) -> Self {
        Self {
            shared: Arc::new(Shared {
                entry,
                counters,
                log,
            }),
        }
    }
}

impl<S> Layer<S> for RecordLayer {
    type Service = Record<S>;

    fn layer(&self, inner: S) -> Record<S> {
        Record {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Puts an [`Exchange`] into each request and records how it ended.
#[derive(Debug, Clone)]
pub struct Record<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Record<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RecordFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let exchange = match request.extensions().get::<Exchange>() {
            Some(exchange) => exchange.clone(),
            // Served by another server than ours.
            None => {
                let exchange = Exchange::begin(Arc::clone(&shared.counters), None);
                request.extensions_mut().insert(exchange.clone());
                exchange
            }
        };
        if !request.body().is_end_stream() {
            request.body_mut().watch(Box::new(Received {
                exchange: exchange.clone(),
            }));
        }
        shared.counters.in_flight.fetch_add(1, Relaxed);
        let entry = Entry {
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            version: request.version(),
            trace: traced(request.headers_mut()),
            status: ABORTED,
            sent: 0,
            open: true,
            exchange,
            shared,
        };
        RecordFuture {
            inner: self.inner.call(request),
            entry: Some(Box::new(entry)),
        }
    }
}

pin_project! {
    /// The response of [`Record`].
    pub struct RecordFuture<F> {
        #[pin]
        inner: F,
        entry: Option<Box<Entry>>,
    }
}

impl<F> Future for RecordFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if let Some(mut entry) = this.entry.take() {
            entry.status = response.status().as_u16();
            response.body_mut().watch(entry);
        }
        Poll::Ready(Ok(response))
    }
}

/// Counts the request's body.
struct Received {
    exchange: Exchange,
}

impl Watch for Received {
    fn data(&mut self, bytes: usize) {
        self.exchange
            .counters()
            .received
            .fetch_add(bytes as u64, Relaxed);
        self.exchange.add_received(bytes as u64);
    }

    fn end(&mut self, _: End<'_>) {}
}

/// The record of one exchange. It closes when its body ends, or when it is dropped before there is one.
struct Entry {
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    version: Version,
    trace: HeaderValue,
    status: u16,
    sent: u64,
    open: bool,
    exchange: Exchange,
    shared: Arc<Shared>,
}

impl Watch for Entry {
    fn data(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    fn end(&mut self, end: End<'_>) {
        match end {
            End::Complete => self.close(false),
            End::Failed(fault) => {
                self.exchange.fail(fault);
                self.close(true);
            }
            End::Dropped => self.close(true),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.open {
            self.close(true);
        }
    }
}

/// Whether something went wrong: that no route fits is the answer to whoever tries paths.
fn is_failure(story: &Story) -> bool {
    let fault = story.fault.as_ref();
    fault.is_some_and(|(reason, _)| *reason != Reason::NoRoute)
}

impl Entry {
    fn close(&mut self, cut: bool) {
        self.open = false;
        if cut && self.exchange.is_cut() && self.exchange.story(|story| story.fault.is_none()) {
            let detail =
                "cut off by the end of the proxy: drain.timeout was over, or a second signal came";
            self.exchange
                .fail(&Fault::maybe_seen(Reason::Internal, detail));
        }
        let elapsed = self.exchange.started().elapsed();
        let counters = &self.shared.counters;
        counters.in_flight.fetch_sub(1, Relaxed);
        counters.sent.fetch_add(self.sent, Relaxed);
        counters.duration.observe(elapsed);
        if let Ok(status) = StatusCode::from_u16(self.status) {
            counters.response(status);
        }
        let failed = self.status >= 500 || self.exchange.story(|story| is_failure(story));
        if failed {
            self.note_failure();
        }
        let bad = cut || failed;
        if self.shared.log.wants(bad) {
            let line = self.line(elapsed, cut);
            self.shared.log.write(line);
        }
    }

    fn note_failure(&self) {
        let counters = &self.shared.counters;
        counters.failed.fetch_add(1, Relaxed);
        self.exchange.story(|story| {
            let endpoint = story.tried.last();
            match &story.fault {
                Some((reason, detail)) => counters.failures.told(Some(*reason), detail, endpoint),
                None => {
                    let detail = format!("status {}", self.status);
                    counters.failures.told(None, &detail, endpoint);
                }
            }
        });
    }

    fn line(&self, elapsed: std::time::Duration, cut: bool) -> Vec<u8> {
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        let client = self.exchange.peer().map(|peer| peer.to_string());
        self.exchange.story(|story| {
            let fault = story.fault.as_ref();
            let line = Line {
                time: timestamp(std::time::SystemTime::now()),
                entry: &self.shared.entry,
                route: story.route.as_deref(),
                client,
                method: self.method.as_str(),
                authority: self.uri.authority().map(|a| a.as_str()).or(host),
                path: self.uri.path_and_query().map_or("", |path| path.as_str()),
                protocol: protocol(self.version),
                status: self.status,
                aborted: cut,
                duration_ms: elapsed.as_micros() as f64 / 1e3,
                bytes_received: self.exchange.received(),
                bytes_sent: self.sent,
                tries: story.tried.len(),
                endpoint: story.tried.last().map(ToString::to_string),
                reason: fault.map(|(reason, _)| reason.token()),
                detail: fault.map(|(_, detail)| detail.as_str()),
                retry_denied: story.denied.map(|denied| denied.token()),
                trace_id: trace_id(&self.trace),
            };
            serde_json::to_vec(&line).unwrap_or_default()
        })
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    entry: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    client: Option<String>,
    method: &'a str,
    authority: Option<&'a str>,
    path: &'a str,
    protocol: &'a str,
    status: u16,
    aborted: bool,
    duration_ms: f64,
    bytes_received: u64,
    bytes_sent: u64,
    tries: usize,
    endpoint: Option<String>,
    reason: Option<&'a str>,
    detail: Option<&'a str>,
    retry_denied: Option<&'a str>,
    trace_id: Option<&'a str>,
}
