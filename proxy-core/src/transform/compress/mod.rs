//! Compresses responses for clients that accept it: gzip, Brotli or Zstandard, as they come, without delay.
//!
//! Compressed is what has one of the configured media types and at least the configured size, or no known one.
//! Never compressed are:
//!
//! - answers to HEAD, and those with status 204, 205, 206 or 304: there is no whole body;
//! - what has a `Content-Encoding` or a `Content-Range` already;
//! - what either side forbids to be transformed (`Cache-Control: no-transform`, RFC 9111, 5.2.1.6 and 5.2.2.6);
//! - what carries a digest of its bytes (RFC 9530).
//!
//! A compressed response loses `Content-Length` and `Accept-Ranges`, and its `ETag` becomes weak (RFC 9110,
//! 8.8.1): the bytes are others. `Vary: Accept-Encoding` is on every response that might have been compressed.
//! A client that accepts nothing that can be had gets the response as it is: a status is the upstream's to choose.
//!
//! Invariant: a body that was cut never looks complete. Its failure is passed on before the end of the compressed
//! stream is written.
//!
//! Invariant: nothing is held back. Whenever the upstream pauses, what it has sent is flushed, so that a stream of
//! events may be compressed as well.
//!
//! Each compressed body takes memory for its state, whatever it sends: about 0.3 MiB for gzip, 0.7 MiB for
//! Brotli and 1 MiB for Zstandard. Compression of secrets beside what an attacker may choose reveals
//! them ([BREACH](https://www.breachattack.com/)); whoever configures this decides.

mod accept;
mod body;
mod coder;
mod service;

#[cfg(test)]
mod tests;

pub use accept::Coding;
pub use service::{Compress, CompressLayer, Error, Params};
