//! What is to be written to a connection, in order: small pieces are joined, large ones handed to the
//! kernel where they are.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::net::Stream;

/// A piece from this size on is not copied.
const SHARED: usize = 2 * 1024;

/// Pieces that one system call writes at the most.
const PIECES: usize = 16;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Joined small pieces; `written` of them are gone.
    joined: Vec<u8>,
    written: usize,
    /// What follows: large pieces, and so many bytes of `joined` before each.
    large: VecDeque<(usize, Bytes)>,
    /// Bytes of `joined` that come before the first large piece or between two, counted for the last one already.
    claimed: usize,
    queued: usize,
    /// Whether the connection may hold back what it took.
    held_back: bool,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.queued == 0 && !self.held_back
    }

    /// Bytes not yet written.
    pub(super) fn len(&self) -> usize {
        self.queued
    }

    /// Lets `write` add small pieces.
    pub(super) fn join(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.joined.len();
        write(&mut self.joined);
        self.queued += self.joined.len() - before;
    }

    /// Adds a piece of a body.
    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.len() < SHARED {
            self.join(|joined| joined.extend_from_slice(&piece));
            return;
        }
        let before = self.joined.len() - self.claimed;
        self.claimed = self.joined.len();
        self.queued += piece.len();
        self.large.push_back((before, piece));
    }

    /// Writes until nothing is left or the connection takes no more.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.queued > 0 {
            let written = if self.large.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, &self.joined[self.written..]))?
            } else {
                let (pieces, count) = self.pieces();
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &pieces[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            self.held_back = stream.holds_back();
        }
        if self.held_back {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.held_back = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the connection takes at once. An error means that nothing was written: all can go out on another one.
    pub(super) fn try_write(&mut self, stream: &Stream) -> io::Result<()> {
        match stream.try_write(&self.joined[self.written..]) {
            Ok(written) => {
                self.advance(written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All that is to be written, for tests.
    #[cfg(test)]
    pub(super) fn copied(&self) -> Vec<u8> {
        let (mut all, mut at) = (Vec::new(), self.written);
        for (before, piece) in &self.large {
            all.extend_from_slice(&self.joined[at..at + before]);
            all.extend_from_slice(piece);
            at += before;
        }
        all.extend_from_slice(&self.joined[at..]);
        all
    }

    fn pieces(&self) -> ([IoSlice<'_>; PIECES], usize) {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let (mut count, mut at) = (0, self.written);
        for (before, piece) in &self.large {
            if count + 2 > PIECES {
                return (pieces, count);
            }
            if *before > 0 {
                pieces[count] = IoSlice::new(&self.joined[at..at + before]);
                (count, at) = (count + 1, at + before);
            }
            pieces[count] = IoSlice::new(piece);
            count += 1;
        }
        if count < PIECES && at < self.joined.len() {
            pieces[count] = IoSlice::new(&self.joined[at..]);
            count += 1;
        }
        (pieces, count)
    }

    fn advance(&mut self, mut count: usize) {
        self.queued -= count;
        while let Some((before, piece)) = self.large.front_mut() {
            let joined = count.min(*before);
            *before -= joined;
            self.written += joined;
            count -= joined;
            if count < piece.len() {
                bytes::Buf::advance(piece, count);
                return;
            }
            count -= piece.len();
            self.large.pop_front();
        }
        self.written += count;
        if self.queued == 0 {
            self.joined.clear();
            (self.written, self.claimed) = (0, 0);
        }
    }
}
