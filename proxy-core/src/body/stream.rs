//! A streamed body: nothing is read before it is asked for, and nothing is kept.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::{End, Pipe, Watch};
use crate::fault::{Fault, Reason};

type Boxed = Pin<Box<dyn HttpBody<Data = Bytes, Error = Fault> + Send>>;

/// How many bytes went into a pipe; none where they do not go that way, and have to be asked for as a frame.
pub type Spliced = Option<Result<usize, Fault>>;

/// A body that comes from a connection, perhaps by way of others.
pub trait Streamed: HttpBody<Data = Bytes, Error = Fault> + Send {
    /// Goes on with the request that this body answers while the body is not asked for, so that neither waits for
    /// the other.
    fn poll_request(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Moves the next bytes into an empty pipe, instead of handing them on as a frame.
    fn poll_splice(self: Pin<&mut Self>, pipe: &mut Pipe, cx: &mut Context<'_>) -> Poll<Spliced> {
        let _ = (pipe, cx);
        Poll::Ready(None)
    }
}

enum Inner {
    Empty,
    Full(Bytes),
    Request(Incoming, fn(&HeaderName) -> bool),
    Response(Incoming),
    Boxed(Boxed),
    Streamed(Pin<Box<dyn Streamed>>),
}

/// A request or response body. The default is empty.
///
/// Its error is a [`Fault`]; a body that fails never looks complete to whoever reads it.
pub struct Body {
    inner: Inner,
    watchers: Vec<Box<dyn Watch>>,
}

impl Body {
    /// A body without a byte.
    pub fn empty() -> Self {
        Self::of(Inner::Empty)
    }

    /// A body that is in memory already.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Inner::Full(bytes.into()))
    }

    /// The body of a request as the server reads it, without the trailers of `forbidden` names.
    pub fn request(incoming: Incoming, forbidden: fn(&HeaderName) -> bool) -> Self {
        Self::of(if incoming.is_end_stream() {
            Inner::Empty
        } else {
            Inner::Request(incoming, forbidden)
        })
    }

    /// The body of a response as the client reads it.
    pub fn response(incoming: Incoming) -> Self {
        Self::of(Inner::Response(incoming))
    }

    /// Any other body; costs an allocation.
    pub fn boxed(body: impl HttpBody<Data = Bytes, Error = Fault> + Send + 'static) -> Self {
        Self::of(Inner::Boxed(Box::pin(body)))
    }

    /// A body that comes from a connection; costs an allocation.
    pub fn streamed(body: impl Streamed + 'static) -> Self {
        Self::of(Inner::Streamed(Box::pin(body)))
    }

    /// Goes on with the request that this body answers, where it is still on its way. For whoever
    /// cannot take more of the body at the moment.
    pub fn poll_request(&mut self, cx: &mut Context<'_>) {
        if let Inner::Streamed(body) = &mut self.inner {
            body.as_mut().poll_request(cx);
        }
    }

    /// Moves the next bytes into an empty pipe. Where they do not go that way, the next frame is to be asked for.
    pub fn poll_splice(&mut self, pipe: &mut Pipe, cx: &mut Context<'_>) -> Poll<Spliced> {
        let Inner::Streamed(body) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let spliced = ready!(body.as_mut().poll_splice(pipe, cx));
        match &spliced {
            Some(Ok(bytes)) => self.watchers.iter_mut().for_each(|w| w.data(*bytes)),
            Some(Err(fault)) => self.finish(End::Failed(fault)),
            None => {}
        }
        Poll::Ready(spliced)
    }

    /// Tells `watcher` how this body goes.
    pub fn watch(&mut self, watcher: Box<dyn Watch>) {
        self.watchers.push(watcher);
    }

    fn of(inner: Inner) -> Self {
        Self {
            inner,
            watchers: Vec::new(),
        }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(match &mut self.inner {
            Inner::Empty => None,
            Inner::Full(_) => match std::mem::replace(&mut self.inner, Inner::Empty) {
                Inner::Full(bytes) if !bytes.is_empty() => Some(Ok(Frame::data(bytes))),
                _ => None,
            },
            Inner::Request(incoming, forbidden) => {
                let mut read = ready!(Pin::new(incoming).poll_frame(cx));
                if let Some(Ok(frame)) = &mut read
                    && let Some(trailers) = frame.trailers_mut()
                {
                    leave_out(trailers, *forbidden);
                }
                read.map(|r| r.map_err(request_cut))
            }
            Inner::Response(incoming) => {
                ready!(Pin::new(incoming).poll_frame(cx)).map(|r| r.map_err(response_cut))
            }
            Inner::Boxed(body) => return body.as_mut().poll_frame(cx),
            Inner::Streamed(body) => return body.as_mut().poll_frame(cx),
        })
    }

    fn finish(&mut self, end: End<'_>) {
        let mut watchers = std::mem::take(&mut self.watchers);
        watchers.iter_mut().for_each(|watcher| watcher.end(end));
    }
}

fn leave_out(trailers: &mut HeaderMap, forbidden: fn(&HeaderName) -> bool) {
    let names = trailers.keys().filter(|name| forbidden(name));
    for name in names.cloned().collect::<Vec<_>>() {
        trailers.remove(name);
    }
}

fn request_cut(error: hyper::Error) -> Fault {
    Fault::maybe_seen(Reason::RequestError, "the request body was cut off").because(error)
}

fn response_cut(error: hyper::Error) -> Fault {
    Fault::maybe_seen(
        Reason::ResponseIncomplete,
        "the response body ended too early",
    )
    .because(error)
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let polled = ready!(this.poll_inner(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.watchers.iter_mut().for_each(|w| w.data(data.len()));
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.watchers.iter_mut().for_each(|w| w.trailers(trailers));
                }
            }
            Some(Err(fault)) => this.finish(End::Failed(fault)),
            None => this.finish(End::Complete),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Request(incoming, _) | Inner::Response(incoming) => incoming.is_end_stream(),
            Inner::Boxed(body) => body.is_end_stream(),
            Inner::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Request(incoming, _) | Inner::Response(incoming) => incoming.size_hint(),
            Inner::Boxed(body) => body.size_hint(),
            Inner::Streamed(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.watchers.is_empty() {
            let end = if self.is_end_stream() {
                End::Complete
            } else {
                End::Dropped
            };
            self.finish(end);
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("size", &self.size_hint())
            .finish_non_exhaustive()
    }
}
