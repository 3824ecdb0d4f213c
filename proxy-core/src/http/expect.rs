//! `Expect: 100-continue` end to end: the body is not asked for before the upstream asks for it.
//!
//! The workload waits for the upstream's own 100, so a request that the upstream refuses costs no
//! upload. An upstream that stays silent for [`PATIENCE`] gets the body anyway (RFC 9110, 10.1.1), and a body that
//! came with its head is not held back at all: its sender waits for nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::header::EXPECT;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::body::{Body, End, Pipe, Spliced, Streamed, Watch};
use crate::fault::{Fault, Reason};

/// How long an upstream that says nothing keeps the body waiting; curl waits as long.
const PATIENCE: Duration = Duration::from_secs(1);

const WAITING: u8 = 0;
const OPEN: u8 = 1;
const ANSWERED: u8 = 2;
const REFUSED: u8 = 3;

/// Of a request whose body began to come with its head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun;

/// Opens or refuses the body of one request.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: AtomicU8,
    waker: AtomicWaker,
}

impl Gate {
    /// Holds back the body of a request that expects a 100; none for any other request.
    pub(super) fn close(request: &mut Request<Body>) -> Option<Self> {
        let expects = request
            .headers()
            .get(EXPECT)?
            .as_bytes()
            .eq_ignore_ascii_case(b"100-continue");
        let begun = request.extensions().get::<Begun>().is_some();
        if !expects || begun || request.body().is_end_stream() {
            return None;
        }
        let gate = Self(Arc::new(Inner {
            state: AtomicU8::new(WAITING),
            waker: AtomicWaker::new(),
        }));
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::streamed(Gated {
            gate: gate.clone(),
            body,
            patience: Box::pin(sleep(PATIENCE)),
        });
        Some(gate)
    }

    /// The upstream asks for the body.
    pub(super) fn open(&self) {
        self.set(OPEN);
    }

    /// The final response is here: a body that was not asked for by now is not wanted. It fails
    /// once the response has ended, not before, because that ends the connection too.
    pub(super) fn answered(self, response: &mut Response<Body>) {
        self.set(ANSWERED);
        response.body_mut().watch(Box::new(self));
    }

    fn refuse(&self) {
        let waits = ANSWERED;
        if self
            .0
            .state
            .compare_exchange(waits, REFUSED, Relaxed, Relaxed)
            .is_ok()
        {
            self.0.waker.wake();
        }
    }

    fn set(&self, state: u8) {
        if self
            .0
            .state
            .compare_exchange(WAITING, state, Relaxed, Relaxed)
            .is_ok()
        {
            self.0.waker.wake();
        }
    }
}

impl Watch for Gate {
    fn end(&mut self, _: End<'_>) {
        self.refuse();
    }
}

struct Gated {
    gate: Gate,
    body: Body,
    patience: Pin<Box<Sleep>>,
}

impl HttpBody for Gated {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.gate.0.waker.register(cx.waker());
        match self.gate.0.state.load(Relaxed) {
            OPEN => Pin::new(&mut self.body).poll_frame(cx),
            REFUSED => Poll::Ready(Some(Err(Fault::maybe_seen(
                Reason::ConnectionTerminated,
                "the upstream answered without asking for the body",
            )))),
            ANSWERED => Poll::Pending,
            _ if self.patience.as_mut().poll(cx).is_ready() => {
                self.gate.set(OPEN);
                Pin::new(&mut self.body).poll_frame(cx)
            }
            _ => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Streamed for Gated {
    fn poll_splice(
        mut self: Pin<&mut Self>,
        pipe: &mut Pipe,
        cx: &mut Context<'_>,
    ) -> Poll<Spliced> {
        match self.gate.0.state.load(Relaxed) {
            OPEN => self.body.poll_splice(pipe, cx),
            _ => Poll::Ready(None),
        }
    }
}
