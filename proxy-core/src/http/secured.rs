//! Serves one downstream connection inside TLS: the protocol is the one that the handshake has settled (ALPN).
//!
//! Without ALPN it is HTTP/1.1, or HTTP/2 when it begins with HTTP/2's preface. The handshake must be
//! over within the time that a request's head may take. How it ended is counted.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::{Request, Response};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;

use super::http1;
use super::server::{PREFACE, ServerParams, drive_http1, note, serve_http2};
use crate::body::Body;
use crate::lifecycle::Phase;
use crate::net::{Connection, Stream, Watchdog};
use crate::tls::{Accepted, Acceptor, Hello, Refused};

#[cfg(test)]
mod tests;

/// Serves `tcp` inside TLS until it closes, as [`serve`](super::serve) does. Requests have an
/// `Arc<`[`Secured`](crate::net::Secured)`>` in their extensions too.
pub async fn serve_tls<S>(
    tcp: TcpStream,
    acceptor: &Acceptor,
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
    // Boxed: a connection that is idle later must not cost what the handshake did.
    let shaken = Box::pin(acceptor.accept(tcp, params.head));
    if let Some(accepted) = attend(shaken, &connection).await {
        serve_accepted(accepted, connection, service, params).await;
    }
}

/// The same with a client whose first message was read.
pub async fn serve_hello<S>(
    hello: Hello,
    acceptor: &Acceptor,
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
    let shaken = Box::pin(acceptor.accept_hello(hello, params.head));
    if let Some(accepted) = attend(shaken, &connection).await {
        serve_accepted(accepted, connection, service, params).await;
    }
}

/// Waits for the handshake, unless a drain wants the connection closed before.
async fn attend(
    shaken: impl Future<Output = Result<Accepted, Refused>>,
    connection: &Connection,
) -> Option<Accepted> {
    let handshakes = &connection.counters().handshakes;
    match connection.unless_closing(shaken).await? {
        Ok(accepted) => {
            handshakes.count(accepted.result());
            connection.note_secured(Arc::clone(&accepted.secured));
            Some(accepted)
        }
        Err(refused) => {
            handshakes.count(refused.result);
            let (peer, reason) = (connection.peer(), refused.result.token());
            tracing::debug!(%peer, reason, detail = %refused, "TLS handshake failed");
            None
        }
    }
}

async fn serve_accepted<S>(
    accepted: Accepted,
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
    let Accepted { stream, secured } = accepted;
    let mut stream = Stream::accepted_secured(stream, Arc::clone(&connection));
    let (ahead, is_http2) = match secured.alpn {
        Some(_) => (Vec::new(), secured.is_http2()),
        None => match detect(&mut stream, &connection, &mut watchdog).await {
            Some(detected) => detected,
            None => return,
        },
    };
    let ended = if is_http2 {
        let stream = stream.with_ahead(ahead);
        serve_http2(stream, &connection, service, params, watchdog).await
    } else {
        let served = http1::serve(stream, &ahead, &connection, service, params.into());
        drive_http1(served, &connection, watchdog).await
    };
    note(ended, &connection);
}

/// Looks at the first bytes; none when the connection ended, expired or was drained before there were any.
async fn detect(
    stream: &mut Stream,
    connection: &Connection,
    watchdog: &mut Watchdog,
) -> Option<(Vec<u8>, bool)> {
    let mut ahead = Vec::new();
    while ahead.len() < PREFACE.len() && PREFACE.starts_with(&ahead) {
        let mut first = [0; PREFACE.len()];
        let mut first = ReadBuf::new(&mut first[ahead.len()..]);
        let read = std::future::poll_fn(|cx| {
            connection.on_phase(cx.waker());
            if connection.phase() == Phase::Closing || watchdog.poll_expired(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut *stream).poll_read(cx, &mut first).map(Some)
        });
        read.await?.ok()?;
        if first.filled().is_empty() {
            return None;
        }
        ahead.extend_from_slice(first.filled());
    }
    let is_http2 = ahead == PREFACE;
    Some((ahead, is_http2))
}
