//! Serves one downstream connection: request after request, each with its response, until either side has enough.
//!
//! The request's future is polled here, in the connection's task. While it runs, a client that goes
//! away is noticed, and the future dropped. A response's body that fails ends the connection, so that
//! it never looks complete. It does not watch the clock, except for what a client still sends at the end:
//! idle and head timeouts are the watchdog's.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use tower::Service;

use super::body::{Downstream, Incoming, RequestBody};
use super::buffer::Buffer;
use super::decode::Decoder;
use super::encode::{self, Asked};
use super::framing::Length;
use super::head::{self, Bad, RequestHead, Scan};
use super::outbox::Outbox;
use super::pump::Pump;
use super::upgrade::Handover;
use crate::body::Body;
use crate::fault::Reason;
use crate::http::intake::{Awaiting, begin};
use crate::lifecycle::Phase;
use crate::net::{Connection, Stream};

/// Bytes of further requests that are read while one is being served.
const PIPELINED: usize = 16 * 1024;

/// How long a client may go on sending what nobody wants, so that it gets to read its response
/// before a reset overtakes it.
const LINGER: Duration = Duration::from_secs(1);

/// How much of that is read.
const UNWANTED: usize = 256 * 1024;

/// How a connection is served.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Settings {
    /// Bytes of a request's header section.
    pub(in crate::http) max_headers: usize,
    /// Whether the case of field names is kept for the upstream.
    pub(in crate::http) keep_case: bool,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Ended {
    /// As HTTP has it.
    Well,
    /// The client broke the protocol.
    Malformed,
}

/// Serves `stream`, of which `ahead` was read already, with clones of `service`.
pub(in crate::http) async fn serve<S>(
    stream: Stream,
    ahead: &[u8],
    connection: &Arc<Connection>,
    service: S,
    settings: Settings,
) -> Ended
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let mut downstream = Downstream::new(stream);
    downstream.buffer = Buffer::with(ahead);
    let mut session = Session {
        downstream: Arc::new(Mutex::new(downstream)),
        connection,
        service,
        settings,
    };
    loop {
        let next = match session.next_head().await {
            Next::Head(head) => session.exchange(*head).await,
            Next::Bad(bad) => {
                session.refuse(bad).await;
                session.linger().await;
                return Ended::Malformed;
            }
            Next::Closed => return Ended::Well,
        };
        match next {
            After::Next => {}
            After::Close => {
                let _ = session.shutdown().await;
                return Ended::Well;
            }
            After::Linger => {
                session.linger().await;
                let malformed = matches!(session.downstream.lock().incoming, Incoming::Malformed);
                return if malformed {
                    Ended::Malformed
                } else {
                    Ended::Well
                };
            }
            After::HandOver(to) => {
                session.hand_over(to);
                return Ended::Well;
            }
            After::Gone => return Ended::Well,
        }
    }
}

struct Session<'a, S> {
    downstream: Arc<Mutex<Downstream>>,
    connection: &'a Arc<Connection>,
    service: S,
    settings: Settings,
}

enum Next {
    Head(Box<RequestHead>),
    Bad(Bad),
    Closed,
}

/// How the writing of a response ended.
enum Written {
    Whole,
    /// The body failed, or is not what its head announced.
    Cut,
    /// The client is gone.
    Gone,
}

/// What comes after an exchange.
enum After {
    /// Another request.
    Next,
    /// An orderly close.
    Close,
    /// A close that the client must hear of before it is done sending.
    Linger,
    /// Another protocol.
    HandOver(oneshot::Sender<Stream>),
    /// Nothing: the client is gone, or its response was cut short.
    Gone,
}

impl<S> Session<'_, S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    async fn next_head(&self) -> Next {
        let mut scan = Scan::default();
        let (limit, keep_case) = (self.settings.max_headers, self.settings.keep_case);
        std::future::poll_fn(|cx| {
            let mut downstream = self.downstream.lock();
            let Downstream { stream, buffer, .. } = &mut *downstream;
            if !buffer.is_empty() {
                // Came before the last response was over.
                self.connection.note_bytes(true);
            }
            loop {
                match head::request(buffer, &mut scan, limit, keep_case) {
                    Ok(Some(head)) => return Poll::Ready(Next::Head(Box::new(head))),
                    Ok(None) => {}
                    Err(bad) => return Poll::Ready(Next::Bad(bad)),
                }
                if buffer.is_empty() {
                    buffer.release();
                    if self.connection.phase() >= Phase::Closing {
                        return Poll::Ready(Next::Closed);
                    }
                }
                match ready!(buffer.poll_fill(stream, cx)) {
                    Ok(0) | Err(_) => return Poll::Ready(Next::Closed),
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    async fn exchange(&mut self, head: RequestHead) -> After {
        let asked = Asked {
            version: head.request.version(),
            head: *head.request.method() == Method::HEAD,
            trailers: head.framed.te && takes_trailers(head.request.headers()),
            keep_alive: head.keep_alive,
        };
        let (request, handover) = self.request(head);
        let awaiting = Awaiting::begin(self.connection);
        let answer = self.service.clone().call(request);
        let Some(mut response) = self.answer(answer).await else {
            return After::Gone;
        };
        drop(awaiting);
        if self.connection.phase() >= Phase::Draining
            && !response.headers().contains_key(CONNECTION)
        {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let after = self.respond(response, asked).await;
        match (after, handover) {
            (After::Next, Some(to)) if switches => After::HandOver(to),
            (after, _) => after,
        }
    }

    /// The request as the stack gets it, and who waits for the stream if it asks for another protocol.
    fn request(&self, head: RequestHead) -> (Request<Body>, Option<oneshot::Sender<Stream>>) {
        let mut request = head.request;
        if head.length != Length::None {
            let decoder = Decoder::new(head.length, self.settings.max_headers);
            self.downstream.lock().begin(decoder, head.expects);
            *request.body_mut() = Body::boxed(RequestBody::new(&self.downstream));
        }
        begin(self.connection, &mut request);
        let mut to = None;
        if head.framed.upgrade {
            let (sender, handover) = Handover::later();
            to = Some(sender);
            request.extensions_mut().insert(handover);
            request.extensions_mut().insert(Arc::clone(self.connection));
        }
        (request, to)
    }

    /// The response; none when the client went away before there was one.
    async fn answer(
        &self,
        answer: impl Future<Output = Result<Response<Body>, Infallible>>,
    ) -> Option<Response<Body>> {
        let mut answer = pin!(answer);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Ok(response)) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            self.downstream.lock().poll_gone(cx).map(|()| None)
        })
        .await
    }

    async fn respond(&self, response: Response<Body>, mut asked: Asked) -> After {
        // A client that was never told to send its body may send it or not: what follows is in doubt.
        asked.keep_alive &= !self.downstream.lock().answered();
        let mut out = Outbox::default();
        let (encoder, keep_alive) = encode::response(&response, asked, &mut out);
        let mut body = Some(response.into_body());
        if encoder.is_over() {
            body.take().map(discard);
        }
        let mut pump = Pump::new(encoder, out, body);
        match std::future::poll_fn(|cx| self.poll_write(&mut pump, cx)).await {
            Written::Whole => {}
            Written::Cut => {
                if pump.ends_with_connection() {
                    self.connection.reset_on_close();
                }
                return After::Gone;
            }
            Written::Gone => return After::Gone,
        }
        let whole = self.finish_body().await;
        match (whole, keep_alive) {
            (true, true) => After::Next,
            (true, false) if self.downstream.lock().buffer.is_empty() => After::Close,
            _ => After::Linger,
        }
    }

    /// Neither the stream nor the buffer is held while the body is polled: it may read the request's.
    fn poll_write(&self, pump: &mut Pump, cx: &mut Context<'_>) -> Poll<Written> {
        loop {
            let gathered = pump.poll_gather(cx);
            let mut downstream = self.downstream.lock();
            if ready!(pump.poll_write(&mut downstream.stream, cx)).is_err() {
                return Poll::Ready(Written::Gone);
            }
            match gathered {
                _ if pump.is_cut() => return Poll::Ready(Written::Cut),
                Poll::Ready(_) if pump.is_over() => return Poll::Ready(Written::Whole),
                Poll::Ready(_) => {}
                Poll::Pending => return downstream.poll_gone(cx).map(|()| Written::Gone),
            }
        }
    }

    /// Reads what is left of the request's body, if that is little; false when more would come.
    async fn finish_body(&self) -> bool {
        if !matches!(self.downstream.lock().incoming, Incoming::Open(_)) {
            return matches!(self.downstream.lock().incoming, Incoming::Over);
        }
        self.downstream.lock().take_over();
        let mut left = UNWANTED;
        let finished = std::future::poll_fn(|cx| {
            let mut downstream = self.downstream.lock();
            loop {
                match ready!(downstream.poll_frame(cx)) {
                    None => return Poll::Ready(true),
                    Some(Err(_)) => return Poll::Ready(false),
                    Some(Ok(frame)) => {
                        let size = frame.data_ref().map_or(0, bytes::Bytes::len);
                        let Some(rest) = left.checked_sub(size) else {
                            return Poll::Ready(false);
                        };
                        left = rest;
                    }
                }
            }
        });
        tokio::time::timeout(LINGER, finished)
            .await
            .unwrap_or(false)
    }

    /// Answers what is no request.
    async fn refuse(&self, bad: Bad) {
        let (status, detail) = match bad {
            Bad::Malformed(what) => ("400 Bad Request", what),
            Bad::TooLarge => (
                "431 Request Header Fields Too Large",
                "the head has more bytes or fields than are taken",
            ),
            Bad::Version => (
                "505 HTTP Version Not Supported",
                "the version of HTTP is not one that is spoken here",
            ),
        };
        let error = Reason::RequestError.token();
        let text = format!("{error}: {detail}\n");
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {}\r\nproxy-status: remora; error={error}; details=\"{detail}\"\r\n\r\n{text}",
            text.len()
        );
        let mut out = Outbox::default();
        out.join(|joined| joined.extend_from_slice(answer.as_bytes()));
        let write =
            std::future::poll_fn(|cx| out.poll_write(&mut self.downstream.lock().stream, cx));
        let _ = tokio::time::timeout(LINGER, write).await;
    }

    async fn shutdown(&self) -> std::io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut self.downstream.lock().stream).poll_shutdown(cx))
            .await
    }

    /// Closes our half first and reads on for a moment: closing with unread bytes would reset the
    /// connection, and the response could get lost with it (RFC 9112, 9.6).
    async fn linger(&self) {
        let mut left = UNWANTED;
        let drained = std::future::poll_fn(|cx| {
            let mut downstream = self.downstream.lock();
            let Downstream { stream, buffer, .. } = &mut *downstream;
            loop {
                left = left.saturating_sub(buffer.len());
                buffer.consume(buffer.len());
                match ready!(buffer.poll_fill(stream, cx)) {
                    Ok(read) if read > 0 && left > 0 => {}
                    _ => return Poll::Ready(()),
                }
            }
        });
        if self.shutdown().await.is_ok() {
            let _ = tokio::time::timeout(LINGER, drained).await;
        }
    }

    fn hand_over(self, to: oneshot::Sender<Stream>) {
        let Some(downstream) = Arc::into_inner(self.downstream) else {
            return;
        };
        let mut downstream = downstream.into_inner();
        let ahead = downstream.buffer.take_all().to_vec();
        let _ = to.send(downstream.stream.with_ahead(ahead));
    }
}

/// Lets go of a body that must not be sent, as of a response to HEAD; one that is at hand has then been taken whole.
fn discard(mut body: Body) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let _ = Pin::new(&mut body).poll_frame(&mut cx);
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let name = coding
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"trailers")
    })
}

impl Downstream {
    /// Ready when the client is gone. What it sends meanwhile waits for its turn, up to a limit; a
    /// body that is being read notices by itself.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.incoming, Incoming::Open(_)) {
            if !self
                .waiting
                .as_ref()
                .is_some_and(|waiting| waiting.will_wake(cx.waker()))
            {
                self.waiting = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        while self.buffer.len() < PIPELINED {
            match ready!(self.buffer.poll_fill(&mut self.stream, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }
}
