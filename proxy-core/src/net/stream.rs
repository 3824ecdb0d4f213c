//! A TCP stream that notes when bytes move, can hand back bytes read ahead, and can end in a reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Connection;
use crate::telemetry::EntryCounters;

/// The byte stream under every connection, either side.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    ahead: Vec<u8>,
    downstream: Option<Arc<Connection>>,
    upstream: Option<Arc<EntryCounters>>,
}

impl Stream {
    /// A downstream connection, with what was read of it already.
    pub fn accepted(tcp: TcpStream, ahead: Vec<u8>, connection: Arc<Connection>) -> Self {
        if !ahead.is_empty() {
            connection.note_bytes(true);
        }
        Self {
            tcp,
            ahead,
            downstream: Some(connection),
            upstream: None,
        }
    }

    /// An upstream connection; it is counted as open until dropped.
    pub fn connected(tcp: TcpStream, counters: Arc<EntryCounters>) -> Self {
        counters.upstream_connections.fetch_add(1, Relaxed);
        Self {
            tcp,
            ahead: Vec::new(),
            downstream: None,
            upstream: Some(counters),
        }
    }

    /// The same stream, with bytes that were read of it already.
    pub fn with_ahead(mut self, ahead: Vec<u8>) -> Self {
        self.ahead = ahead;
        self
    }

    /// Ready when a read would find something: bytes, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            self.tcp.poll_read_ready(cx)
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Whether nothing has come that was not read, the end and errors included, as far as the
    /// runtime has heard. What has come is lost: to be asked only where anything would be too much.
    pub fn is_quiet(&self) -> bool {
        let unread = self.tcp.try_read(&mut [0]);
        self.ahead.is_empty()
            && unread.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes what the kernel takes at once.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.tcp.try_write(bytes)?;
        self.note(false);
        Ok(written)
    }

    fn note(&self, read: bool) {
        if let Some(connection) = &self.downstream {
            connection.note_bytes(read);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(counters) = &self.upstream {
            counters.upstream_connections.fetch_sub(1, Relaxed);
        }
        if self
            .downstream
            .as_ref()
            .is_some_and(|connection| connection.must_reset())
        {
            // Closing with unsent data discarded sends RST: the only way to tell an HTTP/1.0 client of a cut body.
            let _ = self.tcp.set_zero_linger();
        }
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
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
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
        let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, buf))?;
        self.note(false);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs))?;
        self.note(false);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self
            .downstream
            .as_ref()
            .is_some_and(|connection| connection.must_reset())
        {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
