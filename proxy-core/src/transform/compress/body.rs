//! A body that is compressed while it streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::coder::Coder;
use crate::body::{Body, Streamed};
use crate::fault::{Fault, Reason};

/// What is ready is handed on from so many bytes on, though more could be had at once.
const CHUNK: usize = 16 * 1024;

/// What is taken in at once before something is handed on, however small it has become.
const TURN: usize = 256 * 1024;

/// Compresses the data of a body; its trailers and its failure are passed on.
pub(super) struct Compressed {
    inner: Body,
    /// None once the stream has its end, or never will have.
    coder: Option<Coder>,
    /// Whether the coder holds back what came in.
    unflushed: bool,
    trailers: Option<Frame<Bytes>>,
}

impl Compressed {
    pub(super) fn new(inner: Body, coder: Coder) -> Self {
        Self {
            inner,
            coder: Some(coder),
            unflushed: false,
            trailers: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut taken = 0;
        loop {
            let Some(coder) = &mut self.coder else {
                return Poll::Ready(self.trailers.take().map(Ok));
            };
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending if !self.unflushed => return Poll::Pending,
                Poll::Pending => {
                    // The upstream pauses: what it has sent is not to wait for what follows.
                    self.unflushed = false;
                    coder.flush()?;
                    match coder.ready() {
                        0 => return Poll::Pending,
                        _ => return Poll::Ready(Some(Ok(Frame::data(coder.take())))),
                    }
                }
                Poll::Ready(None) => None,
                Poll::Ready(Some(Ok(frame))) => Some(frame),
                Poll::Ready(Some(Err(fault))) => {
                    self.coder = None;
                    return Poll::Ready(Some(Err(io::Error::other(fault))));
                }
            };
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    coder.write(&data)?;
                    self.unflushed |= !data.is_empty();
                    taken += data.len();
                    if taken >= TURN {
                        coder.flush()?;
                        self.unflushed = false;
                    }
                    if coder.ready() >= CHUNK || taken >= TURN {
                        return Poll::Ready(Some(Ok(Frame::data(coder.take()))));
                    }
                }
                end => {
                    self.trailers = end.and_then(Result::err);
                    let rest = self.coder.take().map(Coder::finish).transpose()?;
                    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
                        return Poll::Ready(Some(Ok(Frame::data(rest))));
                    }
                }
            }
        }
    }
}

/// The fault of the body below, or one of our own.
fn fault(error: io::Error) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => fault,
        Err(error) => {
            let detail = "the response could not be compressed";
            Fault::maybe_seen(Reason::Internal, detail).because(error)
        }
    }
}

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let polled = self.poll(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.coder = None;
            self.trailers = None;
        }
        polled.map(|frame| frame.map(|result| result.map_err(fault)))
    }

    fn is_end_stream(&self) -> bool {
        self.coder.is_none() && self.trailers.is_none()
    }
}

impl Streamed for Compressed {
    fn poll_request(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.inner.poll_request(cx);
    }
}
