//! A TCP stream, with TLS inside or not, or that of a Unix socket, which notes when bytes move, can hand back bytes read ahead, and can end in a reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::Connection;
use crate::body::Pipe;
use crate::telemetry::EntryCounters;

/// The byte stream under every connection, either side.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    ahead: Vec<u8>,
    downstream: Option<Arc<Connection>>,
    upstream: Option<Arc<EntryCounters>>,
    failure: Option<Failure>,
}

/// Where the error is left that a stream ended with, for who only sees what its reader makes of it.
pub type Failure = Arc<OnceLock<io::Error>>;

/// What the bytes go through.
#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// Does the same with any kind.
macro_rules! either {
    ($io:expr, $stream:ident => $do:expr) => {
        match $io {
            Io::Plain($stream) => $do,
            Io::Tls($stream) => $do,
            Io::Unix($stream) => $do,
        }
    };
}

impl Io {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::Tls(tls) => tls.get_ref().0.poll_read_ready(cx),
            Self::Unix(unix) => unix.poll_read_ready(cx),
        }
    }

    /// Makes the close a reset. A Unix socket knows none, and no client is spoken to over one.
    fn set_zero_linger(&self) {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
            Self::Unix(_) => return,
        };
        let _ = tcp.set_zero_linger();
    }
}

impl Stream {
    /// A downstream connection, with what was read of it already.
    pub fn accepted(tcp: TcpStream, ahead: Vec<u8>, connection: Arc<Connection>) -> Self {
        Self::of_client(Io::Plain(tcp), ahead, connection)
    }

    /// A downstream connection with TLS inside, whose handshake is over.
    pub fn accepted_secured(tls: Box<TlsStream<TcpStream>>, connection: Arc<Connection>) -> Self {
        Self::of_client(Io::Tls(tls), Vec::new(), connection)
    }

    fn of_client(io: Io, ahead: Vec<u8>, connection: Arc<Connection>) -> Self {
        if !ahead.is_empty() {
            connection.note_bytes(true);
        }
        Self {
            io,
            ahead,
            downstream: Some(connection),
            upstream: None,
            failure: None,
        }
    }

    /// An upstream connection; it is counted as open until dropped.
    pub fn connected(tcp: TcpStream, counters: Arc<EntryCounters>) -> Self {
        Self::to_upstream(Io::Plain(tcp), counters)
    }

    /// The same with TLS inside.
    pub fn secured(tls: TlsStream<TcpStream>, counters: Arc<EntryCounters>) -> Self {
        Self::to_upstream(Io::Tls(Box::new(tls)), counters)
    }

    /// An upstream connection over a Unix socket, counted likewise.
    pub fn local(unix: UnixStream, counters: Arc<EntryCounters>) -> Self {
        Self::to_upstream(Io::Unix(unix), counters)
    }

    fn to_upstream(io: Io, counters: Arc<EntryCounters>) -> Self {
        counters.upstream_connections.fetch_add(1, Relaxed);
        Self {
            io,
            ahead: Vec::new(),
            downstream: None,
            upstream: Some(counters),
            failure: None,
        }
    }

    /// The same stream, with bytes that were read of it already.
    pub fn with_ahead(mut self, ahead: Vec<u8>) -> Self {
        self.ahead = ahead;
        self
    }

    /// The same stream, which leaves the error of a read in `failure` too.
    pub fn telling(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    fn tell(&self, error: io::Error) -> io::Error {
        let Some(failure) = &self.failure else {
            return error;
        };
        let copy = io::Error::new(error.kind(), error.to_string());
        let _ = failure.set(error);
        copy
    }

    /// A write failed: the other side has most likely said why, in an alert that is there to be read,
    /// though the runtime may not have heard of it.
    fn ask_why(&mut self, error: io::Error) -> io::Error {
        if let (Io::Tls(tls), Some(_)) = (&mut self.io, &self.failure)
            && let TlsStream::Client(tls) = &mut **tls
        {
            let (tcp, session) = tls.get_mut();
            let socket = SockRef::from(&*tcp);
            while session.read_tls(&mut &*socket).is_ok_and(|read| read > 0) {
                if let Err(why) = session.process_new_packets() {
                    self.tell(io::Error::other(why));
                    break;
                }
            }
        }
        error
    }

    /// Ready when a read may find something: bytes, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &self.io {
            // It has decrypted something already, which the socket does not know.
            Io::Tls(tls) if !wants_read(tls) => Poll::Ready(Ok(())),
            io => io.poll_read_ready(cx),
        }
    }

    /// Whether nothing has come that was not read, the end and errors included, as far as the
    /// runtime has heard. What has come is lost: to be asked only where anything would be too much.
    pub fn is_quiet(&mut self) -> bool {
        let unread = match &mut self.io {
            Io::Plain(tcp) => tcp.try_read(&mut [0]).map_err(|error| error.kind()),
            Io::Unix(unix) => unix.try_read(&mut [0]).map_err(|error| error.kind()),
            // Not every byte counts: session tickets come at any time.
            Io::Tls(tls) => {
                let mut byte = [0];
                let mut cx = Context::from_waker(Waker::noop());
                let read = Pin::new(tls).poll_read(&mut cx, &mut ReadBuf::new(&mut byte));
                match read {
                    Poll::Pending => Err(io::ErrorKind::WouldBlock),
                    Poll::Ready(read) => read.map(|()| 0).map_err(|error| error.kind()),
                }
            }
        };
        self.ahead.is_empty() && unread.is_err_and(|kind| kind == io::ErrorKind::WouldBlock)
    }

    /// Writes what the kernel takes at once. With TLS that is nothing: what it holds back has to be
    /// flushed by a task.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &self.io {
            Io::Plain(tcp) => tcp.try_write(bytes)?,
            Io::Unix(unix) => unix.try_write(bytes)?,
            Io::Tls(_) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        self.note(false);
        Ok(written)
    }

    /// Whether what was written may be held back until it is flushed.
    pub fn holds_back(&self) -> bool {
        matches!(self.io, Io::Tls(_))
    }

    /// Whether bodies can go through a pipe of the kernel: nothing of theirs is to be encrypted or decrypted.
    pub fn splices(&self) -> bool {
        matches!(self.io, Io::Plain(_)) && self.ahead.is_empty()
    }

    /// Moves up to `most` bytes from here into an empty pipe; 0 is the end of the stream.
    pub fn poll_fill(
        &mut self,
        pipe: &mut Pipe,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Io::Plain(tcp) = &self.io else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        loop {
            ready!(tcp.poll_read_ready(cx))?;
            match tcp.try_io(Interest::READABLE, || pipe.fill(tcp, most)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                filled => {
                    if filled.as_ref().is_ok_and(|filled| *filled > 0) {
                        self.note(true);
                    }
                    return Poll::Ready(filled);
                }
            }
        }
    }

    /// Moves bytes from a pipe to here, as many as the kernel takes.
    pub fn poll_drain(&mut self, pipe: &mut Pipe, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Io::Plain(tcp) = &self.io else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            match tcp.try_io(Interest::WRITABLE, || pipe.drain(tcp)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                drained => {
                    let drained = drained?;
                    self.note(false);
                    return Poll::Ready(Ok(drained));
                }
            }
        }
    }

    fn note(&self, read: bool) {
        if let Some(connection) = &self.downstream {
            connection.note_bytes(read);
        }
    }
}

/// Whether only the socket can have more to read.
fn wants_read(tls: &TlsStream<TcpStream>) -> bool {
    match tls {
        TlsStream::Client(tls) => tls.get_ref().1.wants_read(),
        TlsStream::Server(tls) => tls.get_ref().1.wants_read(),
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(counters) = &self.upstream {
            counters.upstream_connections.fetch_sub(1, Relaxed);
        }
        let Some(connection) = &self.downstream else {
            return;
        };
        if connection.must_reset() {
            // Closing with unsent data discarded sends RST: the only way to tell an HTTP/1.0 client of a cut body.
            self.io.set_zero_linger();
        } else if let Io::Tls(tls) = &mut self.io
            && connection.active() == 0
        {
            close_in_order(tls);
        }
    }
}

/// Says that nothing follows (`close_notify`), to a client that waits for nothing.
fn close_in_order(tls: &mut TlsStream<TcpStream>) {
    if let TlsStream::Server(tls) = tls {
        let (tcp, session) = tls.get_mut();
        session.send_close_notify();
        let _ = session.write_tls(&mut &*SockRef::from(&*tcp));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let take = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..take]);
            self.ahead.drain(..take);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = ready!(either!(&mut self.io, io => Pin::new(io).poll_read(cx, buf)));
        read.map_err(|error| self.tell(error))?;
        if buf.filled().len() > before {
            self.note(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(either!(&mut self.io, io => Pin::new(io).poll_write(cx, buf)));
        let written = written.map_err(|error| self.ask_why(error))?;
        self.note(false);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = &mut self.io;
        let written = ready!(either!(io, io => Pin::new(io).poll_write_vectored(cx, bufs)));
        let written = written.map_err(|error| self.ask_why(error))?;
        self.note(false);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.io, io => io.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.io, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self
            .downstream
            .as_ref()
            .is_some_and(|connection| connection.must_reset())
        {
            return Poll::Ready(Ok(()));
        }
        either!(&mut self.io, io => Pin::new(io).poll_shutdown(cx))
    }
}
