//! A request body that can be sent more than once, as long as what was sent of it fits the limit.
//!
//! Chunks are shared, not copied. Beyond the limit nothing is kept: the body streams on, and
//! [`Recording::again`] says that it cannot be repeated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

use crate::body::{Body, Pipe, Spliced, Streamed};
use crate::fault::{Fault, Reason};

/// What was read of the original body, and the rest of it.
#[derive(Debug)]
struct Source {
    rest: Option<Body>,
    frames: Vec<Kept>,
    kept: usize,
    limit: usize,
    /// Whether frames are still kept; false as soon as they cannot all be.
    keeps: bool,
    /// Whether something was handed on that is not kept.
    lost: bool,
    /// Which of the readers is the current one; an older one fails.
    reader: u32,
    /// Who waits for the next frame: woken when another reader takes its place.
    waker: Option<Waker>,
}

#[derive(Debug, Clone)]
enum Kept {
    Data(Bytes),
    Trailers(http::HeaderMap),
}

impl Kept {
    fn frame(&self) -> Frame<Bytes> {
        match self {
            Self::Data(bytes) => Frame::data(bytes.clone()),
            Self::Trailers(trailers) => Frame::trailers(trailers.clone()),
        }
    }
}

/// Records a body while it is sent.
#[derive(Debug, Clone)]
pub(super) struct Recording(Arc<Mutex<Source>>);

impl Recording {
    /// Keeps up to `limit` bytes of `body`.
    pub(super) fn new(body: Body, limit: usize) -> Self {
        let keeps = body.size_hint().lower() <= limit as u64;
        let rest = Some(body);
        let source = Source {
            rest,
            frames: Vec::new(),
            kept: 0,
            limit,
            keeps,
            lost: false,
            reader: 0,
            waker: None,
        };
        Self(Arc::new(Mutex::new(source)))
    }

    /// The whole body, from its first byte; none when something was sent that is not kept. A body
    /// handed out earlier fails, so that whoever still sends it cannot make it look complete.
    pub(super) fn again(&self) -> Option<Body> {
        let mut source = self.0.lock();
        if source.lost {
            return None;
        }
        source.reader += 1;
        let reader = source.reader;
        let superseded = source.waker.take();
        drop(source);
        if let Some(superseded) = superseded {
            superseded.wake();
        }
        Some(Body::streamed(Reader {
            source: Arc::clone(&self.0),
            reader,
            position: 0,
        }))
    }
}

/// One pass through the body.
struct Reader {
    source: Arc<Mutex<Source>>,
    reader: u32,
    position: usize,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let mut source = this.source.lock();
        if source.reader != this.reader {
            let detail = "the body is sent again on another connection";
            return Poll::Ready(Some(Err(Fault::maybe_seen(Reason::Internal, detail))));
        }
        if let Some(kept) = source.frames.get(this.position) {
            this.position += 1;
            return Poll::Ready(Some(Ok(kept.frame())));
        }
        let Some(rest) = &mut source.rest else {
            return Poll::Ready(None);
        };
        let Poll::Ready(polled) = Pin::new(rest).poll_frame(cx) else {
            source.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        match &polled {
            Some(Ok(frame)) => {
                source.keep(frame);
                this.position = source.frames.len();
            }
            Some(Err(_)) => {
                // The sender is gone: there is nothing left to repeat.
                source.lost = true;
                source.rest = None;
            }
            None => source.rest = None,
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.lock();
        let rest_is_over = source.rest.as_ref().is_none_or(HttpBody::is_end_stream);
        source.reader == self.reader && self.position >= source.frames.len() && rest_is_over
    }

    fn size_hint(&self) -> SizeHint {
        let source = self.source.lock();
        let unread = source
            .frames
            .iter()
            .skip(self.position)
            .map(|kept| match kept {
                Kept::Data(bytes) => bytes.len() as u64,
                Kept::Trailers(_) => 0,
            });
        let unread: u64 = unread.sum();
        let rest = source
            .rest
            .as_ref()
            .map_or(SizeHint::with_exact(0), HttpBody::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + unread);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + unread);
        }
        hint
    }
}

impl Streamed for Reader {
    /// Only what is not kept anyway goes past.
    fn poll_splice(self: Pin<&mut Self>, pipe: &mut Pipe, cx: &mut Context<'_>) -> Poll<Spliced> {
        let mut source = self.source.lock();
        let (false, true) = (source.keeps, source.reader == self.reader) else {
            return Poll::Ready(None);
        };
        let Some(rest) = &mut source.rest else {
            return Poll::Ready(None);
        };
        let Poll::Ready(spliced) = rest.poll_splice(pipe, cx) else {
            source.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        source.lost |= spliced.is_some();
        if matches!(spliced, Some(Err(_))) {
            source.rest = None;
        }
        Poll::Ready(spliced)
    }
}

impl Source {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if !self.keeps {
            self.lost = true;
            return;
        }
        if let Some(data) = frame.data_ref() {
            self.kept += data.len();
            if self.kept > self.limit {
                (self.keeps, self.lost) = (false, true);
                self.frames = Vec::new();
                return;
            }
            self.frames.push(Kept::Data(data.clone()));
        } else if let Some(trailers) = frame.trailers_ref() {
            self.frames.push(Kept::Trailers(trailers.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(body: Body) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_sent_again_in_full() {
        let recording = Recording::new(Body::full("hello"), 5);
        assert_eq!(text(recording.again().unwrap()).await, "hello");
        let mut half = recording.again().unwrap();
        half.frame().await.unwrap().unwrap();
        assert_eq!(text(recording.again().unwrap()).await, "hello");
        assert_eq!(recording.again().unwrap().size_hint().exact(), Some(5));
    }

    #[tokio::test]
    async fn a_larger_body_is_sent_once() {
        let recording = Recording::new(Body::full("hello!"), 5);
        assert_eq!(text(recording.again().unwrap()).await, "hello!");
        assert!(recording.again().is_none());
    }

    #[tokio::test]
    async fn a_larger_body_of_which_nothing_was_sent_is_sent_again() {
        let recording = Recording::new(Body::full("hello!"), 5);
        drop(recording.again().unwrap());
        assert_eq!(text(recording.again().unwrap()).await, "hello!");
    }

    /// Comes by pipe alone.
    struct Piped;

    impl HttpBody for Piped {
        type Data = Bytes;
        type Error = Fault;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(6)
        }
    }

    impl Streamed for Piped {
        fn poll_splice(self: Pin<&mut Self>, _: &mut Pipe, _: &mut Context<'_>) -> Poll<Spliced> {
            Poll::Ready(Some(Ok(3)))
        }
    }

    #[test]
    fn what_went_by_pipe_is_not_sent_again() {
        let mut pipe = Pipe::take().unwrap();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut pass = |limit| {
            let recording = Recording::new(Body::streamed(Piped), limit);
            let spliced = recording.again().unwrap().poll_splice(&mut pipe, cx);
            (spliced.map(|s| s.map(Result::unwrap)), recording)
        };
        let (spliced, recording) = pass(5);
        assert_eq!(spliced, Poll::Ready(Some(3)));
        assert!(recording.again().is_none());
        let (spliced, recording) = pass(6);
        assert_eq!(spliced, Poll::Ready(None), "it is to be kept");
        assert!(recording.again().is_some());
    }

    #[tokio::test]
    async fn an_earlier_pass_fails_when_a_later_one_begins() {
        let recording = Recording::new(Body::full("hello"), 5);
        let mut first = recording.again().unwrap();
        let second = recording.again().unwrap();
        assert!(!first.is_end_stream());
        assert!(first.frame().await.unwrap().is_err());
        assert_eq!(text(second).await, "hello");
    }
}
