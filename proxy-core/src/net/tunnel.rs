//! Copies bytes both ways until both ends are done, for raw TCP entries and upgraded connections.
//!
//! Either end may close its half first: the other half goes on, as with a direct connection.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use super::Watchdog;

/// Bytes buffered a direction.
const BUFFER: usize = 32 * 1024;

/// What a tunnel carried, and how it ended.
#[derive(Debug)]
pub struct Tunnelled {
    /// Bytes read from downstream.
    pub received: u64,
    /// Bytes written downstream.
    pub sent: u64,
    /// Fails with [`io::ErrorKind::TimedOut`] when the watchdog said that nothing moves any more.
    pub ended: io::Result<()>,
}

/// Copies until both directions have ended.
pub async fn tunnel<D, U>(downstream: D, mut upstream: U, mut watchdog: Watchdog) -> Tunnelled
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut downstream = Counted {
        inner: downstream,
        read: 0,
        written: 0,
    };
    let ended = {
        let copy = copy_bidirectional_with_sizes(&mut downstream, &mut upstream, BUFFER, BUFFER);
        let mut copy = pin!(copy);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = copy.as_mut().poll(cx) {
                return Poll::Ready(done.map(|_| ()));
            }
            watchdog.poll_expired(cx).map(|_| {
                let text = "nothing moved for timeout.idle";
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            })
        })
        .await
    };
    Tunnelled {
        received: downstream.read,
        sent: downstream.written,
        ended,
    }
}

/// Counts what is read and written, also of a copy that fails.
struct Counted<T> {
    inner: T,
    read: u64,
    written: u64,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.read += (buf.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
