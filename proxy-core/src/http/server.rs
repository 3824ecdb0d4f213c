//! Serves one downstream connection: HTTP/1.1, or HTTP/2 when it begins with HTTP/2's preface.
//!
//! On a drain HTTP/1 responses carry `Connection: close` and HTTP/2 connections get GOAWAY; idle
//! HTTP/1 connections are closed last, so that no request meets a closing connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tower::Service;

use crate::body::{Body, End, Watch};
use crate::lifecycle::Phase;
use crate::net::{Connection, Stream, Watchdog};
use crate::telemetry::Exchange;

/// The first bytes of an HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client may send of one HTTP/2 stream before it is read.
const STREAM_WINDOW: u32 = 64 * 1024;

/// What a client may send of all streams of a connection before it is read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Streams that a client may have open at once on one connection.
const STREAMS: u32 = 200;

/// How downstream connections are served.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerParams {
    /// How long a connection may be without a byte; none for ever.
    pub idle: Option<Duration>,
    /// How long a request's head may take from its first byte.
    pub head: Duration,
    /// Bytes of a request's header section.
    pub max_headers: usize,
    /// Whether the case of field names is kept for the upstream.
    pub keep_case: bool,
}

/// Serves `tcp` until it closes. Each request goes to a clone of `service`, with an
/// [`Exchange`] in its extensions, and the connection's [`Arc`] where the request asks for an upgrade.
pub async fn serve<S>(
    tcp: TcpStream,
    connection: Arc<Connection>,
    service: S,
    params: &ServerParams,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let mut watchdog = Watchdog::new(Arc::clone(&connection), params.idle, params.head);
    let Some((ahead, is_http2)) = detect(&tcp, &connection, &mut watchdog).await else {
        return;
    };
    let io = TokioIo::new(Stream::accepted(tcp, ahead, Arc::clone(&connection)));
    let service = PerRequest {
        service,
        connection: Arc::clone(&connection),
    };
    let ended = if is_http2 {
        connection.note_multiplexed();
        let served = http2_settings(params).serve_connection(io, service);
        drive(served, &connection, watchdog, Phase::Draining).await
    } else {
        let served = http1_settings(params)
            .serve_connection(io, service)
            .with_upgrades();
        drive(served, &connection, watchdog, Phase::Closing).await
    };
    if let Err(error) = ended
        && !error.is_incomplete_message()
    {
        connection
            .counters()
            .downstream_errors
            .fetch_add(1, Relaxed);
        tracing::debug!(peer = %connection.peer(), %error, "downstream connection ended");
    }
}

fn http1_settings(params: &ServerParams) -> http1::Builder {
    let mut settings = http1::Builder::new();
    // The watchdog bounds the head and idle times, at the cost of one timer a connection instead of one a request.
    settings
        .header_read_timeout(None)
        .preserve_header_case(params.keep_case)
        .max_header_size(params.max_headers);
    settings
}

fn http2_settings(params: &ServerParams) -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(params.max_headers.min(u32::MAX as usize) as u32);
    settings
}

/// Looks at the first bytes; none when the connection ended, expired or was drained before there were any.
async fn detect(
    tcp: &TcpStream,
    connection: &Connection,
    watchdog: &mut Watchdog,
) -> Option<(Vec<u8>, bool)> {
    let mut ahead = Vec::new();
    loop {
        let mut readable = pin!(tcp.readable());
        let ready = std::future::poll_fn(|cx| {
            connection.on_phase(cx.waker());
            if connection.phase() == Phase::Closing || watchdog.poll_expired(cx).is_ready() {
                return Poll::Ready(false);
            }
            readable.as_mut().poll(cx).map(|ready| ready.is_ok())
        });
        if !ready.await {
            return None;
        }
        let mut first = [0; PREFACE.len()];
        let room = PREFACE.len() - ahead.len();
        match tcp.try_read(&mut first[..room]) {
            Ok(0) => return None,
            Ok(read) => {
                connection.note_bytes(true);
                ahead.extend_from_slice(&first[..read]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return None,
        }
        if !PREFACE.starts_with(&ahead) {
            return Some((ahead, false));
        }
        if ahead.len() == PREFACE.len() {
            return Some((ahead, true));
        }
    }
}

/// A hyper connection that can be asked to end after what it is doing.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<S> Graceful for http1::UpgradeableConnection<TokioIo<Stream>, PerRequest<S>>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Graceful for http2::Connection<TokioIo<Stream>, PerRequest<S>, TokioExecutor>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection to its end, or to its expiry; asks it to finish once its drain has come to `last_phase`.
async fn drive(
    served: impl Graceful,
    connection: &Connection,
    mut watchdog: Watchdog,
    last_phase: Phase,
) -> hyper::Result<()> {
    let mut served = pin!(served);
    let mut finishing = false;
    std::future::poll_fn(|cx| {
        connection.on_phase(cx.waker());
        if !finishing && connection.phase() >= last_phase {
            finishing = true;
            served.as_mut().finish();
        }
        if let Poll::Ready(ended) = served.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        if watchdog.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        if finishing || last_phase == Phase::Closing {
            return Poll::Ready(Ok(()));
        }
        // HTTP/2 says GOAWAY first; what does not end by itself then ends with the next expiry.
        finishing = true;
        served.as_mut().finish();
        served.as_mut().poll(cx)
    })
    .await
}

/// hyper's view of the stack.
struct PerRequest<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> hyper::service::Service<Request<Incoming>> for PerRequest<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = PerRequestFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        let mut request = request.map(Body::request);
        self.connection.begin();
        let counters = Arc::clone(self.connection.counters());
        let exchange = Exchange::begin(counters, Some(Arc::clone(&self.connection) as _));
        request.extensions_mut().insert(exchange);
        if request.headers().contains_key(UPGRADE) {
            request
                .extensions_mut()
                .insert(Arc::clone(&self.connection));
        }
        self.connection.note_awaiting();
        let awaiting = Awaiting(Arc::clone(&self.connection));
        let inner = self.service.clone().call(request);
        PerRequestFuture {
            inner,
            awaiting,
            version,
        }
    }
}

pin_project! {
    struct PerRequestFuture<F> {
        #[pin]
        inner: F,
        awaiting: Awaiting,
        version: Version,
    }
}

/// A request waits for the head of its response until this is dropped.
struct Awaiting(Arc<Connection>);

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.0.note_answered();
    }
}

impl<F> Future for PerRequestFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if *this.version == Version::HTTP_2 {
            response.headers_mut().remove(CONNECTION);
            return Poll::Ready(Ok(response));
        }
        if this.awaiting.0.phase() >= Phase::Draining
            && !response.headers().contains_key(CONNECTION)
        {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if *this.version == Version::HTTP_10 {
            let connection = Arc::clone(&this.awaiting.0);
            response.body_mut().watch(Box::new(CutShort { connection }));
        }
        Poll::Ready(Ok(response))
    }
}

/// An HTTP/1.0 message may be delimited by the close of its connection: one that was cut must not close like one that was not.
struct CutShort {
    connection: Arc<Connection>,
}

impl Watch for CutShort {
    fn end(&mut self, end: End<'_>) {
        if let End::Failed(_) = end {
            self.connection.reset_on_close();
        }
    }
}
