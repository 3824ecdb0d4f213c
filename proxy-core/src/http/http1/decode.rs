//! Takes a body out of a connection's buffer, frame by frame.

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::buffer::Buffer;
use super::chunked::{Chunked, Malformed, Step};
use super::framing::Length;

/// How far a body has been read.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are left.
    Exact(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Until the connection closes; true once it has.
    UntilClose(bool),
}

/// A step through a body.
#[derive(Debug)]
pub(super) enum Decoded {
    /// The next frame.
    Frame(Frame<Bytes>),
    /// The body is over.
    Over,
    /// More bytes are needed.
    Starved,
}

impl Decoder {
    pub(super) fn new(length: Length, max_trailers: usize) -> Self {
        match length {
            Length::None => Self::Exact(0),
            Length::Exact(bytes) => Self::Exact(bytes),
            Length::Chunked => Self::Chunked(Chunked::new(max_trailers)),
            Length::UntilClose => Self::UntilClose(false),
        }
    }

    /// Takes the next step with what is in the buffer.
    pub(super) fn step(&mut self, buffer: &mut Buffer) -> Result<Decoded, Malformed> {
        match self {
            Self::Exact(0) | Self::UntilClose(true) => Ok(Decoded::Over),
            _ if !matches!(self, Self::Chunked(_)) && buffer.is_empty() => Ok(Decoded::Starved),
            Self::Exact(left) => {
                let data = buffer.take(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                Ok(Decoded::Frame(Frame::data(data)))
            }
            Self::UntilClose(false) => Ok(Decoded::Frame(Frame::data(buffer.take_all()))),
            Self::Chunked(chunked) => Ok(match chunked.step(buffer)? {
                Step::Data(data) => Decoded::Frame(Frame::data(data)),
                Step::Trailers(trailers) => Decoded::Frame(Frame::trailers(trailers)),
                Step::Over => Decoded::Over,
                Step::Starved => Decoded::Starved,
            }),
        }
    }

    /// How many bytes may be taken past the buffer: those of an announced length, from the connection itself.
    pub(super) fn unread(&self, buffer: &Buffer) -> usize {
        match self {
            Self::Exact(left) if buffer.is_empty() => usize::try_from(*left).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// So many bytes were taken past the buffer.
    pub(super) fn skip(&mut self, count: usize) {
        if let Self::Exact(left) = self {
            *left -= count as u64;
        }
    }

    /// The connection was closed in an orderly way: true when that is a good end of the body.
    pub(super) fn closed(&mut self) -> bool {
        match self {
            Self::UntilClose(over) => {
                *over = true;
                true
            }
            _ => self.is_over(),
        }
    }

    /// Whether everything was taken.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Exact(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::UntilClose(over) => *over,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Exact(left) => SizeHint::with_exact(*left),
            _ => SizeHint::default(),
        }
    }
}
