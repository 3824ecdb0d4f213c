//! A body that is read once and sent twice: what its reader takes of it goes into a bounded pipe as well.
//!
//! Chunks are shared, not copied, except for small ones, which would hold a much larger buffer. The pipe
//! never makes the reader wait. It gives the copy a turn when that is behind, because both may live on one
//! thread, and a reader that always finds more to read would outrun any copy.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::body::Body;
use crate::fault::{Fault, Reason};

/// How far a copy may lag behind.
const LAG: usize = 1 << 20;

/// How much all copies with one backlog may hold.
const BACKLOG: usize = 16 << 20;

/// How far a copy may lag behind before it gets a turn.
const TURN: usize = 64 << 10;

/// Data from this size on is shared.
const SHARED: usize = 4 << 10;

/// What a frame takes besides its bytes.
const FRAME: usize = 128;

/// What copies hold of bodies, up to where it is written to a connection: 16 MiB at the most.
#[derive(Debug, Default)]
pub struct Backlog(AtomicUsize);

impl Backlog {
    /// Counts `data` until it is gone; none where there is no room for it.
    fn hold(self: &Arc<Self>, data: Bytes) -> Option<Bytes> {
        let size = data.len() + FRAME;
        let held = self.0.fetch_add(size, Relaxed) + size;
        // Gives back what it counts, here and now where that is too much.
        let counted = Counted {
            data,
            backlog: Arc::clone(self),
        };
        (held <= BACKLOG).then(|| Bytes::from_owner(counted))
    }

    /// Bytes that are held now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.load(Relaxed)
    }
}

struct Counted {
    data: Bytes,
    backlog: Arc<Backlog>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let size = self.data.len() + FRAME;
        self.backlog.0.fetch_sub(size, Relaxed);
    }
}

/// A body and its copy.
pub(super) struct Teed {
    /// What is read.
    pub(super) body: Body,
    /// What gets the same.
    pub(super) copy: Body,
    /// Word of the copy being cut.
    pub(super) cut: Cut,
}

/// Makes a copy of what is read of `body` from now on.
pub(super) fn tee(body: Body, backlog: &Arc<Backlog>) -> Teed {
    let left = body.size_hint().exact();
    let pipe = Arc::new(Pipe {
        state: Mutex::default(),
        backlog: Arc::clone(backlog),
    });
    let (word, cut) = oneshot::channel();
    let copy = Copied {
        pipe: Arc::clone(&pipe),
        left,
    };
    let reader = Reader {
        body,
        pipe: Some((pipe, word)),
        waited: false,
    };
    Teed {
        body: Body::boxed(reader),
        copy: Body::boxed(copy),
        cut: Cut(cut),
    }
}

/// Word of a copy being cut.
pub(super) struct Cut(oneshot::Receiver<()>);

impl Cut {
    /// Waits until the copy is cut; for ever if it is not.
    pub(super) async fn happens(self) {
        if self.0.await.is_err() {
            std::future::pending().await
        }
    }
}

/// What was read and not yet taken by the copy.
struct Pipe {
    state: Mutex<State>,
    backlog: Arc<Backlog>,
}

#[derive(Default)]
struct State {
    frames: VecDeque<(Kept, usize)>,
    bytes: usize,
    end: End,
    /// Who sends the copy, while it waits for more.
    waker: Option<Waker>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum End {
    /// There is more to come.
    #[default]
    Open,
    /// All of the body was read.
    Complete,
    /// The body ended before its end, or the copy was given up.
    Cut,
    /// Nobody wants the copy.
    Unwanted,
}

enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Pipe {
    /// Adds a frame; how the copy ends when it cannot take it.
    fn push(&self, frame: &Frame<Bytes>) -> Result<(), End> {
        let mut state = self.state.lock();
        if state.end == End::Unwanted {
            return Err(End::Unwanted);
        }
        let size = FRAME + frame.data_ref().map_or(0, Bytes::len);
        if state.bytes + size > LAG && !state.frames.is_empty() {
            return Err(End::Cut);
        }
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => {
                let data = match data.len() {
                    ..SHARED => Bytes::copy_from_slice(data),
                    SHARED.. => data.clone(),
                };
                Kept::Data(self.backlog.hold(data).ok_or(End::Cut)?)
            }
            (None, trailers) => Kept::Trailers(trailers.cloned().unwrap_or_default()),
        };
        state.frames.push_back((kept, size));
        state.bytes += size;
        state.wake();
        Ok(())
    }

    /// Nothing more is added, and unless the body is complete nothing more is taken; false where that was
    /// known already.
    fn end(&self, how: End) -> bool {
        let mut state = self.state.lock();
        if how != End::Complete {
            state.frames.clear();
            state.bytes = 0;
        }
        let was_open = state.end == End::Open;
        if was_open {
            state.end = how;
            state.wake();
        }
        was_open
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The body as the request's own way reads it.
struct Reader {
    body: Body,
    pipe: Option<(Arc<Pipe>, oneshot::Sender<()>)>,
    /// Whether the copy has had its turn.
    waited: bool,
}

impl Reader {
    /// Whether the copy is to have a turn first.
    fn gives_way(&mut self) -> bool {
        let behind = |(pipe, _): &(Arc<Pipe>, _)| pipe.state.lock().bytes > TURN;
        self.waited = !self.waited && self.pipe.as_ref().is_some_and(behind);
        self.waited
    }

    fn end(&mut self, how: End) {
        if let Some((pipe, word)) = self.pipe.take()
            && pipe.end(how)
            && how == End::Cut
        {
            let _ = word.send(());
        }
    }
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        if this.gives_way() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                let pipe = this.pipe.as_ref();
                match pipe.map_or(Ok(()), |(pipe, _)| pipe.push(frame)) {
                    Err(how) => this.end(how),
                    Ok(()) if this.body.is_end_stream() => this.end(End::Complete),
                    Ok(()) => {}
                }
            }
            Some(Err(_)) => this.end(End::Cut),
            None => this.end(End::Complete),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let how = match self.body.is_end_stream() {
            true => End::Complete,
            false => End::Cut,
        };
        self.end(how);
    }
}

/// The body that the copy sends.
struct Copied {
    pipe: Arc<Pipe>,
    /// Bytes that are left, where that is known.
    left: Option<u64>,
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let mut state = this.pipe.state.lock();
        let Some((kept, size)) = state.frames.pop_front() else {
            return match state.end {
                End::Open => {
                    state.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                End::Complete => Poll::Ready(None),
                End::Cut | End::Unwanted => {
                    let detail = "the body of the copy was cut off";
                    Poll::Ready(Some(Err(Fault::maybe_seen(Reason::RequestError, detail))))
                }
            };
        };
        state.bytes -= size;
        Poll::Ready(Some(Ok(match kept {
            Kept::Data(data) => {
                this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
                Frame::data(data)
            }
            Kept::Trailers(trailers) => Frame::trailers(trailers),
        })))
    }

    fn is_end_stream(&self) -> bool {
        let state = self.pipe.state.lock();
        state.frames.is_empty() && state.end == End::Complete
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.pipe.end(End::Unwanted);
    }
}
