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

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tower::Service;

use super::gathered::Gathered;
use super::http1::{self, Ended};
use super::intake::{Awaiting, begin};
use super::trailers::is_forbidden;
use crate::body::Body;
use crate::lifecycle::Phase;
use crate::net::{Connection, Expired, Stream, Watchdog};

/// The first bytes of an HTTP/2 connection (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
/// [`Exchange`](crate::telemetry::Exchange) in its extensions.
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
    let ended = if is_http2 {
        let stream = Stream::accepted(tcp, ahead, Arc::clone(&connection));
        serve_http2(stream, &connection, service, params, watchdog).await
    } else {
        let stream = Stream::accepted(tcp, Vec::new(), Arc::clone(&connection));
        let served = http1::serve(stream, &ahead, &connection, service, params.into());
        drive_http1(served, &connection, watchdog).await
    };
    note(ended, &connection);
}

/// Counts what the client did wrong.
pub(super) fn note(ended: Ended, connection: &Connection) {
    if ended == Ended::Malformed {
        let errors = &connection.counters().downstream_errors;
        errors.fetch_add(1, Relaxed);
    }
}

impl From<&ServerParams> for http1::Settings {
    fn from(params: &ServerParams) -> Self {
        Self {
            max_headers: params.max_headers,
            keep_case: params.keep_case,
        }
    }
}

/// Serves HTTP/2 until the connection ends. A drain, or its expiry, makes it say GOAWAY first.
pub(super) async fn serve_http2<S>(
    stream: Stream,
    connection: &Arc<Connection>,
    service: S,
    params: &ServerParams,
    mut watchdog: Watchdog,
) -> Ended
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let service = PerRequest {
        service,
        connection: Arc::clone(connection),
    };
    connection.note_multiplexed();
    let stream = Gathered::new(stream);
    let io = TokioIo::new(stream.clone());
    let mut served = pin!(http2_settings(params).serve_connection(io, service));
    let mut finishing = false;
    let ended = std::future::poll_fn(|cx| {
        connection.on_phase(cx.waker());
        if !finishing && connection.phase() >= Phase::Draining {
            finishing = true;
            served.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = stream.poll_turn(served.as_mut(), cx) {
            return Poll::Ready(ended);
        }
        if watchdog.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        if finishing {
            return Poll::Ready(Ok(()));
        }
        // What does not end by itself then ends with the next expiry.
        finishing = true;
        served.as_mut().graceful_shutdown();
        stream.poll_turn(served.as_mut(), cx)
    });
    match ended.await {
        Err(error) if !error.is_incomplete_message() => {
            tracing::debug!(peer = %connection.peer(), %error, "downstream connection ended");
            Ended::Malformed
        }
        _ => Ended::Well,
    }
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

/// Runs an HTTP/1 connection to its end, or to its expiry. It sees by itself when its drain wants it to end, or when
/// a head takes too long, which it says before it ends.
pub(super) async fn drive_http1(
    served: impl Future<Output = Ended>,
    connection: &Connection,
    mut watchdog: Watchdog,
) -> Ended {
    let mut served = pin!(served);
    std::future::poll_fn(|cx| {
        connection.on_phase(cx.waker());
        loop {
            if let Poll::Ready(ended) = served.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            match ready!(watchdog.poll_expired(cx)) {
                // It says so and ends, and the watchdog goes on in case that it does not.
                Expired::Head if connection.note_late() => {}
                Expired::Head => return Poll::Ready(Ended::Malformed),
                Expired::Idle => return Poll::Ready(Ended::Well),
            }
        }
    })
    .await
}

/// hyper's view of the stack.
pub(super) struct PerRequest<S> {
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
        let mut request = request.map(|body| Body::request(body, is_forbidden));
        begin(&self.connection, &mut request);
        let awaiting = Awaiting::begin(&self.connection);
        let inner = self.service.clone().call(request);
        PerRequestFuture {
            inner,
            _awaiting: awaiting,
        }
    }
}

pin_project! {
    pub(super) struct PerRequestFuture<F> {
        #[pin]
        inner: F,
        _awaiting: Awaiting,
    }
}

impl<F> Future for PerRequestFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(self.project().inner.poll(cx));
        // HTTP/2 has no such field (RFC 9113, 8.2.2).
        response.headers_mut().remove(CONNECTION);
        // Nor has a 204 a length in any version (RFC 9110, 8.6): a client takes it for an error.
        if response.status() == StatusCode::NO_CONTENT {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        Poll::Ready(Ok(response))
    }
}
