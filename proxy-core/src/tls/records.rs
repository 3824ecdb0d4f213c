//! How what is written is cut into records and into writes.
//!
//! A segment of TCP holds at most 64 KiB with its headers, on the loopback device and where the network card cuts it up
//! further. Four records of the usual 16 KiB are a little more than that, so that each write would be followed by a
//! segment of a few bytes; four of these are a little less.

/// The most plaintext of a record. With what TLS 1.2 adds (5 bytes of header, 8 of nonce, 16 of tag; TLS 1.3 adds less)
/// four fill a segment over IPv6 (RFC 8446, 5.2; RFC 5288, 3).
pub(crate) const PLAIN: usize = (65_464 / 4 - 29) / 16 * 16;

/// A record as rustls is told of it: with its header.
pub(super) const RECORD: usize = PLAIN + 5;

/// The most plaintext that is taken before it is written.
pub(super) const BATCH: usize = 4 * PLAIN;
