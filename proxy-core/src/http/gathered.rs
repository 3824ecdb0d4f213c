//! Gathers what HTTP/2 writes in one turn of its connection, so that the kernel, and TLS, are asked once for all of it.
//!
//! hyper's h2 flushes after nearly each frame: the answers of many streams that are ready together would be as many
//! writes, and as many records of TLS, and the other side would be woken for each.

use std::future::Future;
use std::io::{self, IoSlice};
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;
use crate::tls::PLAIN;

/// The most that is gathered: one record of TLS. Four were not faster.
const MOST: usize = PLAIN;

/// A write from this size on is not copied: to copy so much costs more than to ask the kernel once more.
const LARGE: usize = 8 * 1024;

/// A stream whose flushes do nothing: [`Gathered::poll_turn`] sends. Clones are the same stream.
#[derive(Debug)]
pub(super) struct Gathered<T = Stream>(Arc<Mutex<Inner<T>>>);

#[derive(Debug)]
struct Inner<T> {
    io: T,
    /// What was written and not sent; without memory of its own while there is nothing.
    waiting: Vec<u8>,
    /// How much of that was sent.
    sent: usize,
    /// Why nothing can be sent any more.
    failed: Option<io::Error>,
}

impl<T> Clone for Gathered<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: AsyncWrite + Unpin> Gathered<T> {
    pub(super) fn new(io: T) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            io,
            waiting: Vec::new(),
            sent: 0,
            failed: None,
        })))
    }

    /// Polls what writes to this stream, and then sends what it has written. It must be the task of the same context
    /// each time, and nobody else may write.
    pub(super) fn poll_turn<F: Future>(
        &self,
        mut turn: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let done = turn.as_mut().poll(cx);
        let sent = self.0.lock().poll_send(cx);
        match sent {
            // It hears of it when it flushes next.
            Poll::Ready(Err(_)) if done.is_pending() => turn.poll(cx),
            _ => done,
        }
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    /// Sends what waits, and whatever the stream itself holds back.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed.is_some() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.heed(flushed)
    }

    /// Hands on what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let rest = &self.waiting[self.sent..];
            let written = Pin::new(&mut self.io).poll_write(cx, rest);
            let written = ready!(self.heed(written))?;
            self.advance(written)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands on what waits and these slices after it, in one write if it goes; how much of the slices went.
    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        while self.sent < self.waiting.len() {
            let rest = &self.waiting[self.sent..];
            let left = rest.len();
            let all: Vec<_> = iter::once(IoSlice::new(rest))
                .chain(slices.iter().copied())
                .collect();
            let written = Pin::new(&mut self.io).poll_write_vectored(cx, &all);
            let written = ready!(self.heed(written))?;
            self.advance(written.min(left))?;
            if written > left {
                return Poll::Ready(Ok(written - left));
            }
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.heed(written)
    }

    /// So much of what waits was sent.
    fn advance(&mut self, written: usize) -> io::Result<()> {
        if written == 0 {
            self.failed = Some(io::ErrorKind::WriteZero.into());
            return self.check();
        }
        self.sent += written;
        if self.sent == self.waiting.len() {
            self.waiting = Vec::new();
            self.sent = 0;
        }
        Ok(())
    }

    /// After an error nothing is sent: what was handed on before it may have left, or not.
    fn heed<R>(&mut self, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.failed = Some(copy(error));
        }
        polled
    }

    /// Fails with the error that was met.
    fn check(&self) -> io::Result<()> {
        self.failed
            .as_ref()
            .map_or(Ok(()), |error| Err(copy(error)))
    }
}

fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

impl<T: AsyncRead + Unpin> AsyncRead for Gathered<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gathered<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.lock();
        inner.check()?;
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if length >= LARGE {
            return inner.poll_through(cx, slices);
        }
        if inner.waiting.len() + length > MOST {
            ready!(inner.poll_drain(cx))?;
        }
        if inner.waiting.is_empty() && length > 0 {
            inner.waiting.reserve_exact(MOST);
        }
        for slice in slices {
            inner.waiting.extend_from_slice(slice);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Only says that it is done: what waits is sent at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.lock().check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        inner.check()?;
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};

    use super::*;

    /// Takes `room` bytes, then none until there is more room, and fails once it is `broken`.
    #[derive(Debug, Default)]
    struct Peer {
        writes: Vec<Vec<u8>>,
        room: usize,
        broken: bool,
    }

    impl AsyncWrite for Peer {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if self.room == 0 {
                return Poll::Pending;
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            self.writes.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all = slices.iter().flat_map(|slice| slice.iter().copied());
            self.poll_write(cx, &all.collect::<Vec<_>>())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn with_room(room: usize) -> Gathered<Peer> {
        Gathered::new(Peer {
            room,
            ..Peer::default()
        })
    }

    /// One turn of `task`.
    fn turn<F: Future>(stream: &Gathered<Peer>, task: Pin<&mut F>) -> Poll<F::Output> {
        stream.poll_turn(task, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_is_written_in_a_turn_is_one_write() {
        let stream = with_room(usize::MAX);
        let mut writer = stream.clone();
        let mut task = pin!(async {
            for piece in ["first ", "second ", "third"] {
                writer.write_all(piece.as_bytes()).await.unwrap();
                writer.flush().await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        assert!(turn(&stream, task.as_mut()).is_pending());
        assert_eq!(stream.0.lock().io.writes, [b"first second third"]);
    }

    #[test]
    fn what_is_large_goes_with_what_waits_before_it() {
        let stream = with_room(usize::MAX);
        let mut writer = stream.clone();
        let large = [b'x'; LARGE];
        let mut task = pin!(async {
            writer.write_all(b"head").await.unwrap();
            writer.write_all(&large).await.unwrap();
            assert_eq!(stream.0.lock().io.writes, [[&b"head"[..], &large].concat()]);
            std::future::pending::<()>().await;
        });
        assert!(turn(&stream, task.as_mut()).is_pending());
    }

    #[test]
    fn a_peer_that_reads_slowly_gets_all_of_it_in_order() {
        let stream = with_room(0);
        let mut writer = stream.clone();
        let sent: Vec<u8> = (0..6 * MOST).map(|at| (at % 251) as u8).collect();
        let mut task = pin!(async {
            let (small, large) = sent.split_at(2 * MOST);
            for piece in small.chunks(1000) {
                writer.write_all(piece).await.unwrap();
            }
            for piece in large.chunks(LARGE + 1) {
                writer.write_all(piece).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        for _ in 0..1000 {
            assert!(turn(&stream, task.as_mut()).is_pending());
            assert!(stream.0.lock().waiting.len() <= MOST);
            stream.0.lock().io.room = 777;
        }
        let inner = stream.0.lock();
        assert!(inner.io.writes.concat() == sent);
        assert_eq!(inner.waiting.capacity(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_reads_in_its_own_time_wakes_who_sends() {
        let (near, mut far) = duplex(1000);
        // It holds back until it is flushed, as TLS does.
        let stream = Gathered::new(BufWriter::with_capacity(100_000, near));
        let mut writer = stream.clone();
        let sent: Vec<u8> = (0..3 * MOST).map(|at| (at % 251) as u8).collect();
        let expected = sent.clone();
        let send = async move {
            let mut task = pin!(async {
                for piece in sent.chunks(3000) {
                    writer.write_all(piece).await.unwrap();
                    writer.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
                writer.shutdown().await.unwrap();
            });
            poll_fn(|cx| stream.poll_turn(task.as_mut(), cx)).await;
        };
        let receive = async {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        };
        let (_, received) = tokio::join!(tokio::spawn(send), receive);
        assert!(received == expected);
    }

    #[test]
    fn the_task_is_told_of_an_error_in_the_same_turn() {
        let stream = with_room(usize::MAX);
        stream.0.lock().io.broken = true;
        let mut writer = stream.clone();
        let mut written = false;
        let task = poll_fn(move |cx| {
            if !std::mem::replace(&mut written, true) {
                assert!(Pin::new(&mut writer).poll_write(cx, b"lost").is_ready());
            }
            match Pin::new(&mut writer).poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(error.kind()),
                _ => Poll::Pending,
            }
        });
        let told = turn(&stream, pin!(task));
        assert_eq!(told, Poll::Ready(io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn nothing_is_left_behind_at_the_end() {
        let stream = with_room(usize::MAX);
        let mut writer = stream.clone();
        let task = async {
            writer.write_all(b"goodbye").await.unwrap();
            writer.shutdown().await.unwrap();
        };
        assert!(turn(&stream, pin!(task)).is_ready());
        assert_eq!(stream.0.lock().io.writes, [b"goodbye"]);
    }
}
