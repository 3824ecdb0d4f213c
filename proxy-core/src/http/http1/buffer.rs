//! Bytes that were read from a connection and not yet used.
//!
//! The memory comes from the thread's stock and goes back there while a connection is idle, so that
//! an idle connection holds none.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::io::poll_read_buf;

use crate::net::Stream;

/// What a buffer holds at first: a head, and a small body with it.
const SMALL: usize = 16 * 1024;

/// What it grows to while a large body streams through: few large reads cost less than many small ones.
const LARGE: usize = 256 * 1024;

/// Buffers that a thread keeps for connections to come.
const STOCK: usize = 64;

/// A part of a body from this size on is handed on without being copied.
const SHARED: usize = 4 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// A read buffer.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: BytesMut,
    /// Room for the next read of a body: four times as much after a read that fills it, half after a small one.
    room: usize,
}

impl Buffer {
    /// A buffer that holds these bytes already.
    pub(super) fn with(ahead: &[u8]) -> Self {
        let mut buffer = Self::default();
        if !ahead.is_empty() {
            buffer.acquire();
            buffer.bytes.extend_from_slice(ahead);
        }
        buffer
    }

    /// The unused bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Drops the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    /// Takes the first `count` bytes, or as many as there are.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.bytes.len());
        if count < SHARED {
            let taken = Bytes::copy_from_slice(&self.bytes[..count]);
            self.bytes.advance(count);
            taken
        } else {
            self.bytes.split_to(count).freeze()
        }
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Bytes {
        self.take(self.bytes.len())
    }

    /// Reads once, as much as there is and fits; 0 is the end of the stream. Nothing is allocated
    /// before there is something to read.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(stream.poll_readable(cx))?;
        if self.room == 0 {
            self.acquire();
        }
        let spare = self.bytes.capacity() - self.bytes.len();
        if spare < self.room / 2 {
            self.bytes.reserve(self.room);
        }
        let spare = self.bytes.capacity() - self.bytes.len();
        let read = ready!(poll_read_buf(Pin::new(stream), cx, &mut self.bytes))?;
        if read == spare {
            self.room = (self.room * 4).min(LARGE);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(SMALL);
        }
        Poll::Ready(Ok(read))
    }

    /// Gives the memory back if nothing is in it.
    pub(super) fn release(&mut self) {
        if !self.bytes.is_empty() || self.room == 0 {
            return;
        }
        self.room = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        // Only reclaimed does it show how large it is.
        if !bytes.try_reclaim(SMALL) || bytes.capacity() > 4 * SMALL {
            return;
        }
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < STOCK {
                spare.push(bytes);
            }
        });
    }

    fn acquire(&mut self) {
        self.room = SMALL;
        if self.bytes.capacity() == 0 {
            let spare = SPARE.with_borrow_mut(Vec::pop);
            self.bytes = spare.unwrap_or_else(|| BytesMut::with_capacity(SMALL));
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.bytes.clear();
        self.release();
    }
}
