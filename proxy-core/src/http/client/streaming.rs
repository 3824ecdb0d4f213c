//! The body of a response as it comes down its connection, which goes back to the pool at the end.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::h1::{Connection, Pool};
use crate::body::{Pipe, Spliced, Streamed};
use crate::fault::Fault;
use crate::http::http1::Rest;

/// A response that is given up with no more than this left of it is read to its end, because that
/// is cheaper than another connection.
const LITTLE: u64 = 64 * 1024;

/// How long that may take.
const SETTLE: Duration = Duration::from_secs(1);

/// How long an upload whose response is over may stand still.
const STALLED: Duration = Duration::from_secs(10);

/// A response's body and the connection that it comes on.
#[derive(Debug)]
pub(super) struct Streaming {
    bound: Option<Bound>,
    failed: bool,
}

#[derive(Debug)]
struct Bound {
    connection: Box<Connection>,
    rest: Rest,
    pool: Weak<Pool>,
}

impl Streaming {
    pub(super) fn new(connection: Box<Connection>, rest: Rest, pool: Weak<Pool>) -> Self {
        Self {
            bound: Some(Bound {
                connection,
                rest,
                pool,
            }),
            failed: false,
        }
    }

    /// Parts with the connection at the end of the body, or when it has failed.
    fn settle(&mut self, failed: bool) {
        if failed {
            self.failed = true;
            self.bound = None;
        } else if let Some(bound) = self.bound.take_if(|bound| bound.rest.is_over()) {
            bound.part();
        }
    }
}

impl Bound {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.rest.poll_frame(&mut self.connection.wire, cx)
    }

    /// Ready when the response is over, well or not.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut left = LITTLE;
        while let Some(Ok(frame)) = ready!(self.poll_frame(cx)) {
            let size = frame.data_ref().map_or(0, Bytes::len) as u64;
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        Poll::Ready(())
    }

    /// The response is over: the connection goes back, or is closed. What the request still has to
    /// send goes on first, without anybody waiting for it: an upstream that answers early may want it.
    fn part(mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.rest.poll_request(&mut self.connection.wire, &mut cx);
        if !self.rest.is_uploading() {
            return self.give_back();
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                loop {
                    let sent = self.rest.sent();
                    let upload = std::future::poll_fn(|cx| {
                        self.rest.poll_request(&mut self.connection.wire, cx)
                    });
                    match tokio::time::timeout(STALLED, upload).await {
                        Ok(()) => return self.give_back(),
                        Err(_) if self.rest.sent() == sent => return,
                        Err(_) => {}
                    }
                }
            });
        }
    }

    fn give_back(mut self) {
        if let Some(pool) = self.pool.upgrade()
            && self.rest.leaves_usable(&mut self.connection.wire)
        {
            pool.park(self.connection);
        }
    }
}

impl Streamed for Streaming {
    fn poll_request(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Some(bound) = &mut self.bound {
            let _ = bound.rest.poll_request(&mut bound.connection.wire, cx);
        }
    }

    fn poll_splice(
        mut self: Pin<&mut Self>,
        pipe: &mut Pipe,
        cx: &mut Context<'_>,
    ) -> Poll<Spliced> {
        let Some(bound) = &mut self.bound else {
            return Poll::Ready(None);
        };
        let wire = &mut bound.connection.wire;
        let spliced = ready!(bound.rest.poll_splice(wire, pipe, cx));
        self.settle(matches!(spliced, Some(Err(_))));
        Poll::Ready(spliced)
    }
}

/// The end of an exchange whose response is whole already.
pub(super) fn part(connection: Box<Connection>, rest: Rest, pool: Weak<Pool>) {
    let bound = Bound {
        connection,
        rest,
        pool,
    };
    bound.part();
}

impl HttpBody for Streaming {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(bound) = &mut self.bound else {
            return Poll::Ready(None);
        };
        let polled = ready!(bound.poll_frame(cx));
        self.settle(matches!(polled, Some(Err(_))));
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.bound.is_none() && !self.failed
    }

    fn size_hint(&self) -> SizeHint {
        match &self.bound {
            Some(bound) => bound.rest.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let Some(mut bound) = self.bound.take() else {
            return;
        };
        let mut cx = Context::from_waker(Waker::noop());
        if bound.rest.is_uploading() {
            return;
        }
        if bound.poll_discard(&mut cx).is_ready() {
            return bound.give_back();
        }
        let is_little = bound
            .rest
            .size_hint()
            .upper()
            .is_some_and(|left| left <= LITTLE);
        if let (true, Ok(runtime)) = (is_little, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let discard = std::future::poll_fn(|cx| bound.poll_discard(cx));
                if tokio::time::timeout(SETTLE, discard).await.is_ok() {
                    bound.give_back();
                }
            });
        }
    }
}
