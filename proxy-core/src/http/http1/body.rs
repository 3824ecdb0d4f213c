//! The body of a request, read from the downstream connection by whoever sends it on.
//!
//! The connection and its current body share the socket: while a body is being read, only the body
//! reads from it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::AsyncWrite;

use super::buffer::Buffer;
use super::chunked::Malformed;
use super::decode::{Decoded, Decoder};
use crate::body::{Pipe, Spliced, Streamed};
use crate::fault::{Fault, Reason};
use crate::net::Stream;

/// What has come of a client when no more is read of it before somebody asks for that: one read may exceed it.
const AHEAD: usize = 16 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A downstream connection: the socket and what belongs to it.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) stream: Stream,
    pub(super) buffer: Buffer,
    pub(super) incoming: Incoming,
    /// What is left to be written of a 100; it is written when the body is first asked for.
    proceed: &'static [u8],
    /// Interim responses that are being written.
    early: Option<Box<Early>>,
    /// Who waits for the body to be over: the connection.
    pub(super) waiting: Option<Waker>,
    /// Who reads the body, while it waits for more.
    reading: Option<Waker>,
    /// Which reader the body belongs to; an earlier one fails.
    reader: u64,
    /// Whether that reader is gone.
    abandoned: bool,
}

/// Interim responses, of which `written` bytes are gone.
#[derive(Debug)]
struct Early {
    heads: Vec<u8>,
    written: usize,
}

/// The body of the current request.
#[derive(Debug)]
pub(super) enum Incoming {
    /// There is none, or all of it was read.
    Over,
    /// It is being read.
    Open(Decoder),
    /// It was cut off.
    Cut,
    /// It is malformed: nothing after it can be trusted.
    Malformed,
}

impl Downstream {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Buffer::default(),
            incoming: Incoming::Over,
            proceed: &[],
            early: None,
            waiting: None,
            reading: None,
            reader: 0,
            abandoned: false,
        }
    }

    /// Begins a body. `expects`: its sender waits for a 100.
    pub(super) fn begin(&mut self, decoder: Decoder, expects: bool) {
        self.incoming = Incoming::Open(decoder);
        self.proceed = if expects { CONTINUE } else { &[] };
        self.reader += 1;
        self.abandoned = false;
    }

    /// Takes the rest of the body away from whoever still reads it: that reader fails from now on.
    pub(super) fn take_over(&mut self) {
        self.reader += 1;
        self.wake_reader();
    }

    /// Whether somebody still reads the body and has not come to its end.
    pub(super) fn is_being_read(&self) -> bool {
        matches!(self.incoming, Incoming::Open(_)) && !self.abandoned
    }

    /// The final response begins: a 100 is too late now, except for the rest of one that was begun,
    /// which goes to `out` first, and then what is left of other interim responses. True if a 100 was still due.
    pub(super) fn answered(&mut self, out: &mut Vec<u8>) -> bool {
        let open = matches!(self.incoming, Incoming::Open(_));
        let due = match std::mem::take(&mut self.proceed) {
            CONTINUE => open,
            rest => {
                out.extend_from_slice(rest);
                false
            }
        };
        if let Some(early) = self.early.take() {
            out.extend_from_slice(&early.heads[early.written..]);
        }
        due
    }

    /// Writes interim responses, those that `told` returns too, until there are none or the client takes no more.
    /// Fails when it is gone. What waits is bounded: `told` is asked when all before is written.
    pub(super) fn poll_early(
        &mut self,
        told: impl Fn() -> Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let early = match &mut self.early {
                Some(early) => early,
                none => {
                    let heads = told();
                    if heads.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    none.insert(Box::new(Early { heads, written: 0 }))
                }
            };
            if self.proceed != CONTINUE {
                // The rest of a 100 that was begun.
                while !self.proceed.is_empty() {
                    let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.proceed))?;
                    self.proceed = &self.proceed[written..];
                }
            }
            while early.written < early.heads.len() {
                let rest = &early.heads[early.written..];
                match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => early.written += written,
                }
            }
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.early = None;
        }
    }

    /// Ready when the client is gone. What it sends meanwhile waits for its turn, up to a limit; a
    /// body that nobody asks for at the moment is not read beyond it.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.incoming, Incoming::Open(_))
            && !self
                .waiting
                .as_ref()
                .is_some_and(|waiting| waiting.will_wake(cx.waker()))
        {
            self.waiting = Some(cx.waker().clone());
        }
        while self.buffer.len() < AHEAD {
            match ready!(self.buffer.poll_fill(&mut self.stream, cx)) {
                Ok(read) if read > 0 => self.wake_reader(),
                _ => {
                    if matches!(self.incoming, Incoming::Open(_)) {
                        self.incoming = Incoming::Cut;
                    }
                    self.wake_reader();
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }

    fn wake_reader(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.wake();
        }
    }

    /// The next frame of the body; `None` at its end.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            let decoder = match &mut self.incoming {
                Incoming::Open(decoder) => decoder,
                Incoming::Over => return Poll::Ready(None),
                _ => return Poll::Ready(Some(Err(cut("the request body was cut off")))),
            };
            match decoder.step(&mut self.buffer) {
                Ok(Decoded::Frame(frame)) => {
                    if decoder.is_over() {
                        self.end(Incoming::Over);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Decoded::Over) => {
                    self.end(Incoming::Over);
                    return Poll::Ready(None);
                }
                Ok(Decoded::Starved) => {}
                Err(Malformed(what)) => {
                    self.end(Incoming::Malformed);
                    return Poll::Ready(Some(Err(cut(what))));
                }
            }
            if !self.proceed.is_empty()
                && let Err(error) = ready!(self.poll_early(Vec::new, cx))
            {
                return Poll::Ready(Some(Err(self.lost(error))));
            }
            while !self.proceed.is_empty() {
                match ready!(Pin::new(&mut self.stream).poll_write(cx, self.proceed)) {
                    Ok(written) => self.proceed = &self.proceed[written..],
                    Err(error) => return Poll::Ready(Some(Err(self.lost(error)))),
                }
            }
            match ready!(self.buffer.poll_fill(&mut self.stream, cx)) {
                Ok(0) => {
                    return Poll::Ready(Some(Err(self.lost(io::ErrorKind::UnexpectedEof.into()))));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.lost(error)))),
            }
        }
    }

    /// Moves the next bytes into a pipe, where nothing else is to be done first.
    fn poll_splice(&mut self, pipe: &mut Pipe, cx: &mut Context<'_>) -> Poll<Spliced> {
        let Incoming::Open(decoder) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let most = decoder.unread(&self.buffer);
        if most == 0 || !self.proceed.is_empty() || !self.stream.splices() {
            return Poll::Ready(None);
        }
        match ready!(self.stream.poll_fill(pipe, most, cx)) {
            Ok(0) => Poll::Ready(Some(Err(self.lost(io::ErrorKind::UnexpectedEof.into())))),
            Ok(count) => {
                decoder.skip(count);
                if decoder.is_over() {
                    self.end(Incoming::Over);
                }
                Poll::Ready(Some(Ok(count)))
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(self.lost(error)))),
        }
    }

    fn lost(&mut self, error: io::Error) -> Fault {
        self.end(Incoming::Cut);
        cut("the request body was cut off").because(error)
    }

    fn end(&mut self, how: Incoming) {
        self.incoming = how;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

fn cut(what: &'static str) -> Fault {
    Fault::maybe_seen(Reason::RequestError, what)
}

/// The body as the stack sees it.
#[derive(Debug)]
pub(super) struct RequestBody {
    connection: Arc<Mutex<Downstream>>,
    reader: u64,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Bad,
}

impl RequestBody {
    /// The body that the connection has just begun.
    pub(super) fn new(connection: &Arc<Mutex<Downstream>>) -> Self {
        Self {
            connection: Arc::clone(connection),
            reader: connection.lock().reader,
            end: None,
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let mut connection = self.connection.lock();
        if connection.reader == self.reader {
            connection.abandoned = true;
            connection.reading = None;
            if let Some(waiting) = connection.waiting.take() {
                waiting.wake();
            }
        }
    }
}

impl RequestBody {
    /// Asks the connection, unless the body belongs to another reader by now. The outcome is the end of the body where
    /// it is a failure, or where the connection has no more of it.
    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Downstream, &mut Context<'_>) -> Poll<Option<Result<T, Fault>>>,
    ) -> Poll<Option<Result<T, Fault>>> {
        let mut connection = self.connection.lock();
        let polled = if connection.reader == self.reader {
            let Poll::Ready(polled) = ask(&mut connection, cx) else {
                connection.reading = Some(cx.waker().clone());
                return Poll::Pending;
            };
            polled
        } else {
            Some(Err(cut("the rest of the request body was given up")))
        };
        let is_over = matches!(connection.incoming, Incoming::Over);
        drop(connection);
        self.end = match &polled {
            Some(Err(_)) => Some(End::Bad),
            _ => is_over.then_some(End::Good),
        };
        Poll::Ready(polled)
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        self.poll_with(cx, Downstream::poll_frame)
    }

    fn is_end_stream(&self) -> bool {
        self.end == Some(End::Good)
    }

    fn size_hint(&self) -> SizeHint {
        if self.end.is_some() {
            return SizeHint::with_exact(0);
        }
        match &self.connection.lock().incoming {
            Incoming::Open(decoder) => decoder.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Streamed for RequestBody {
    fn poll_splice(
        mut self: Pin<&mut Self>,
        pipe: &mut Pipe,
        cx: &mut Context<'_>,
    ) -> Poll<Spliced> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        self.poll_with(cx, |connection, cx| connection.poll_splice(pipe, cx))
    }
}
