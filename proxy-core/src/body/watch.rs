//! What wants to know how a body went: byte counts while it flows, and exactly one end.

use crate::fault::Fault;

/// How a body ended.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// Every byte and the trailers were handed on.
    Complete,
    /// The sender failed.
    Failed(&'a Fault),
    /// The receiver went away before the end.
    Dropped,
}

/// Sees the frames of a body as they are handed on. [`Watch::end`] is called exactly once.
pub trait Watch: Send {
    /// `bytes` of data were handed on.
    fn data(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// The trailers were handed on.
    fn trailers(&mut self, trailers: &http::HeaderMap) {
        let _ = trailers;
    }

    /// The body is over.
    fn end(&mut self, end: End<'_>);
}
