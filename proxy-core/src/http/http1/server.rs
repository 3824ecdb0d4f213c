//! Serves one downstream connection: request after request, each with its response, until either side has enough.
//!
//! The request's future is polled here, in the connection's task. While it runs, a client that goes
//! away is noticed, and the future dropped. A response's body that fails ends the connection, so that
//! it never looks complete. Idle and head timeouts are the watchdog's.
//!
//! The connection is a state machine written out, because a task that is idle costs what its largest
//! state does, and most are idle.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tower::Service;

use super::body::{Downstream, Incoming, RequestBody};
use super::buffer::Buffer;
use super::closing;
use super::decode::Decoder;
use super::encode::{self, Asked};
use super::framing::Length;
use super::head::{self, Bad, RequestHead, Scan};
use super::outbox::Outbox;
use super::pump::Pump;
use super::upgrade::Handover;
use crate::body::Body;
use crate::http::expect::Begun;
use crate::http::give_way::GiveWay;
use crate::http::intake::{Awaiting, begin};
use crate::lifecycle::Phase;
use crate::net::{Connection, Stream};

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
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let mut downstream = Downstream::new(stream);
    downstream.buffer = Buffer::with(ahead);
    let wire = Arc::new(Mutex::new(downstream));
    let server = Server {
        wire: Arc::clone(&wire),
        connection: Arc::clone(connection),
        service,
        settings,
        scan: Scan::default(),
        current: None,
        step: Step::Head,
    };
    match server.await {
        Finished::Ended(ended) => ended,
        Finished::HandOver(to) => {
            hand_over(wire, to);
            Ended::Well
        }
    }
}

type Shared = Arc<Mutex<Downstream>>;

pin_project! {
    struct Server<S, F> {
        wire: Shared,
        connection: Arc<Connection>,
        service: S,
        settings: Settings,
        scan: Scan,
        current: Option<Current>,
        #[pin]
        step: Step<F>,
    }
}

pin_project! {
    /// What a connection is doing.
    #[project = StepProjection]
    enum Step<F> {
        /// Reading a head, or idle.
        Head,
        /// Waiting for the head of the response.
        Answer {
            #[pin]
            answer: F,
            // Before the client is asked whether it is gone: what it sent before goes on.
            way: GiveWay,
        },
        /// Writing the response.
        Write {
            pump: Pump,
            way: GiveWay,
        },
        /// Reading what is left of a request, or nothing but the end; none: the next request may come.
        Close {
            closing: Pin<Box<dyn Future<Output = Option<Ended>> + Send>>,
        },
    }
}

/// What is kept of the request that is being served.
struct Current {
    asked: Asked,
    awaiting: Option<Awaiting>,
    /// Who waits for the stream, if the request asked for another protocol.
    handover: Option<oneshot::Sender<Stream>>,
    /// Whether another request may follow.
    keep_alive: bool,
}

enum Finished {
    Ended(Ended),
    HandOver(oneshot::Sender<Stream>),
}

impl<S> Future for Server<S, S::Future>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        let well = Poll::Ready(Finished::Ended(Ended::Well));
        loop {
            let mut this = self.as_mut().project();
            let next = match this.step.as_mut().project() {
                StepProjection::Head => {
                    let connection = &**this.connection;
                    let head = poll_head(this.wire, connection, *this.settings, this.scan, cx);
                    match ready!(head) {
                        Ok(Some(head)) => {
                            let (request, current) = request(this.wire, this.connection, *head);
                            *this.current = Some(current);
                            let answer = this.service.call(request);
                            Step::Answer {
                                answer,
                                way: GiveWay::default(),
                            }
                        }
                        Ok(None) => return well,
                        Err(bad) => Step::Close {
                            closing: Box::pin(closing::refuse(Arc::clone(this.wire), bad)),
                        },
                    }
                }
                StepProjection::Answer { answer, way } => match answer.poll(cx) {
                    Poll::Ready(Ok(response)) => Step::Write {
                        pump: respond(this.wire, this.connection, this.current, response),
                        way: GiveWay::default(),
                    },
                    Poll::Pending => {
                        ready!(way.poll(cx));
                        ready!(poll_meanwhile(this.wire, this.connection, cx));
                        return well;
                    }
                },
                StepProjection::Write { pump, way } => {
                    match ready!(poll_write(this.wire, this.connection, way, pump, cx)) {
                        Written::Whole => {
                            this.connection.close_in_order();
                            match after(this.wire, this.current) {
                                After::Next => Step::Head,
                                After::Close(closing) => Step::Close { closing },
                                After::HandOver(to) => return Poll::Ready(Finished::HandOver(to)),
                            }
                        }
                        Written::Broken => return well,
                    }
                }
                StepProjection::Close { closing } => match ready!(closing.as_mut().poll(cx)) {
                    Some(ended) => return Poll::Ready(Finished::Ended(ended)),
                    None => Step::Head,
                },
            };
            this.step.set(next);
        }
    }
}

/// The next head; none when the connection is to end.
fn poll_head(
    wire: &Shared,
    connection: &Connection,
    settings: Settings,
    scan: &mut Scan,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Box<RequestHead>>, Bad>> {
    let mut downstream = wire.lock();
    let Downstream { stream, buffer, .. } = &mut *downstream;
    if !buffer.is_empty() {
        // Came before the last response was over.
        connection.note_bytes(true);
    }
    loop {
        if buffer.is_empty() {
            buffer.release();
            if connection.phase() >= Phase::Closing || connection.is_late() {
                return Poll::Ready(Ok(None));
            }
        } else {
            let head = head::request(buffer, scan, settings.max_headers, settings.keep_case)?;
            if let Some(mut head) = head {
                let max_headers = settings.max_headers;
                if head.expects && !buffer.is_empty() {
                    head.expects = false;
                    head.request.extensions_mut().insert(Begun);
                }
                if head.length != Length::None {
                    downstream.begin(Decoder::new(head.length, max_headers), head.expects);
                }
                return Poll::Ready(Ok(Some(Box::new(head))));
            }
            if connection.is_late() {
                return Poll::Ready(Err(Bad::Late));
            }
        }
        match ready!(buffer.poll_fill(stream, cx)) {
            Ok(0) | Err(_) => return Poll::Ready(Ok(None)),
            Ok(_) => {}
        }
    }
}

/// The request as the stack gets it.
fn request(
    wire: &Shared,
    connection: &Arc<Connection>,
    head: RequestHead,
) -> (Request<Body>, Current) {
    let mut request = head.request;
    let asked = Asked {
        version: request.version(),
        head: *request.method() == Method::HEAD,
        trailers: head.framed.te && takes_trailers(request.headers()),
        keep_alive: head.keep_alive,
    };
    if head.length != Length::None {
        *request.body_mut() = Body::streamed(RequestBody::new(wire));
    }
    begin(connection, &mut request);
    // Older clients may take an interim response for the final one.
    connection.take_early(asked.version == Version::HTTP_11);
    let mut handover = None;
    if head.framed.upgrade {
        let (sender, receiver) = Handover::later();
        handover = Some(sender);
        request.extensions_mut().insert(receiver);
        request.extensions_mut().insert(Arc::clone(connection));
    }
    let current = Current {
        asked,
        awaiting: Some(Awaiting::begin(connection)),
        handover,
        keep_alive: false,
    };
    (request, current)
}

/// Ready when the client is gone. Until then it gets what the upstream says before its response.
fn poll_meanwhile(wire: &Shared, connection: &Connection, cx: &mut Context<'_>) -> Poll<()> {
    let mut downstream = wire.lock();
    match downstream.poll_early(|| connection.told_early(), cx) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        _ => downstream.poll_gone(cx),
    }
}

/// Begins to write the response.
fn respond(
    wire: &Shared,
    connection: &Connection,
    current: &mut Option<Current>,
    mut response: Response<Body>,
) -> Pump {
    let mut asked = Asked::default();
    if let Some(current) = current {
        current.awaiting = None;
        asked = current.asked;
    }
    if connection.phase() >= Phase::Draining && !response.headers().contains_key(CONNECTION) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    // A client that was never told to send its body may send it or not: what follows is in doubt.
    let mut out = Outbox::default();
    let mut splices = false;
    out.join(|joined| {
        let mut downstream = wire.lock();
        asked.keep_alive &= !downstream.answered(joined);
        splices = downstream.stream.splices();
        joined.extend_from_slice(&connection.told_early());
    });
    connection.take_early(false);
    let (encoder, keep_alive) = encode::response(&response, asked, &mut out);
    if let Some(current) = current {
        current.keep_alive = keep_alive;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            current.handover = None;
        }
    }
    let mut body = Some(response.into_body());
    if encoder.is_over() {
        body.take().into_iter().for_each(discard);
    }
    let pump = Pump::new(encoder, out, body, splices);
    if pump.ends_with_connection() {
        // Until all of it is written: whatever ends the connection before that must not look like its end.
        connection.reset_on_close();
    }
    pump
}

/// How the writing of a response ended.
enum Written {
    Whole,
    /// The client is gone, or the body failed or is not what its head announced.
    Broken,
}

/// Neither the stream nor the buffer is held while the body is polled: it may read the request's.
fn poll_write(
    wire: &Shared,
    connection: &Connection,
    way: &mut GiveWay,
    pump: &mut Pump,
    cx: &mut Context<'_>,
) -> Poll<Written> {
    loop {
        let gathered = pump.poll_gather(cx);
        // All that is at hand is encoded by now: in their turns, messages are written and nothing else.
        ready!(way.poll(cx));
        let mut downstream = wire.lock();
        match pump.poll_write(&mut downstream.stream, cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Written::Broken),
            Poll::Pending => {
                // A client that sends before it reads must get rid of what it sends.
                drop(downstream);
                pump.poll_request(cx);
                return Poll::Pending;
            }
        }
        match gathered {
            _ if pump.is_cut() => {
                if downstream.stream.holds_back() {
                    // An orderly end of TLS would say that nothing is missing.
                    connection.reset_on_close();
                }
                return Poll::Ready(Written::Broken);
            }
            Poll::Ready(_) if pump.is_over() => return Poll::Ready(Written::Whole),
            Poll::Ready(_) => {}
            Poll::Pending => return downstream.poll_gone(cx).map(|()| Written::Broken),
        }
    }
}

/// What comes after a response.
enum After {
    Next,
    Close(Pin<Box<dyn Future<Output = Option<Ended>> + Send>>),
    HandOver(oneshot::Sender<Stream>),
}

fn after(wire: &Shared, current: &mut Option<Current>) -> After {
    let (keep_alive, handover) = match current.take() {
        Some(current) => (current.keep_alive, current.handover),
        None => (false, None),
    };
    if let Some(to) = handover {
        return After::HandOver(to);
    }
    let downstream = wire.lock();
    match downstream.incoming {
        Incoming::Over if keep_alive => After::Next,
        Incoming::Over if downstream.buffer.is_empty() => {
            After::Close(Box::pin(closing::shut(Arc::clone(wire))))
        }
        _ => After::Close(Box::pin(closing::finish(Arc::clone(wire), keep_alive))),
    }
}

fn hand_over(wire: Shared, to: oneshot::Sender<Stream>) {
    let Some(downstream) = Arc::into_inner(wire) else {
        return;
    };
    let mut downstream = downstream.into_inner();
    let ahead = downstream.buffer.take_all().to_vec();
    let _ = to.send(downstream.stream.with_ahead(ahead));
}

/// Lets go of a body that must not be sent, as of a response to HEAD; one that is at hand has then been taken whole.
fn discard(mut body: Body) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for _ in 0..3 {
        if !matches!(
            Pin::new(&mut body).poll_frame(&mut cx),
            Poll::Ready(Some(Ok(_)))
        ) {
            return;
        }
    }
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
