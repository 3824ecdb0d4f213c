//! Reads HTTP/1.1 responses off a connection far enough to know their status and where they end.
//!
//! Invariant: only responses with a `Content-Length` are understood, because the origin sends no
//! others; a response without one, or one that is not 2xx, is an error of the measurement.

use std::fmt;

/// Heads longer than this are refused.
const MAX_HEAD: usize = 64 * 1024;

/// How far one connection has come in its current response.
#[derive(Debug, Default)]
pub(super) struct Response {
    head: Vec<u8>,
    remaining: Option<u64>,
}

/// Why a response does not count.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Status(u16),
    Malformed,
    NoLength,
    Surplus,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Malformed => f.write_str("malformed response"),
            Self::NoLength => f.write_str("response without Content-Length"),
            Self::Surplus => f.write_str("more bytes than the response announced"),
        }
    }
}

impl std::error::Error for Bad {}

impl Response {
    /// Takes the bytes that were read and says whether the response is now complete.
    pub(super) fn feed(&mut self, data: &[u8]) -> Result<bool, Bad> {
        let body = match self.remaining {
            Some(_) => data,
            None => match self.head(data)? {
                Some(body) => body,
                None => return Ok(false),
            },
        };
        let remaining = self.remaining.unwrap_or(0);
        let left = remaining
            .checked_sub(body.len() as u64)
            .ok_or(Bad::Surplus)?;
        self.remaining = (left > 0).then_some(left);
        Ok(left == 0)
    }

    /// Takes head bytes; once the head is complete, returns the body bytes that followed it.
    fn head<'a>(&mut self, data: &'a [u8]) -> Result<Option<&'a [u8]>, Bad> {
        if self.head.is_empty() {
            if let Some(end) = head_end(data) {
                self.remaining = Some(length(&data[..end])?);
                return Ok(Some(&data[end..]));
            }
            self.head.extend_from_slice(data);
            return Ok(None);
        }
        let before = self.head.len();
        self.head.extend_from_slice(data);
        let Some(end) = head_end(&self.head) else {
            return if self.head.len() > MAX_HEAD {
                Err(Bad::Malformed)
            } else {
                Ok(None)
            };
        };
        self.remaining = Some(length(&self.head[..end])?);
        self.head.clear();
        Ok(Some(&data[end - before..]))
    }
}

/// The offset just past the blank line that ends a head.
pub(super) fn head_end(data: &[u8]) -> Option<usize> {
    data.windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// The value of `name` in a head, without surrounding blanks. `name` is matched without case.
pub(super) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (key, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        key.eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    })
}

/// Checks the status line and returns the length of the body.
fn length(head: &[u8]) -> Result<u64, Bad> {
    let status = head
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .ok_or(Bad::Malformed)?;
    match number(status).ok_or(Bad::Malformed)? {
        200..=299 => {}
        other => return Err(Bad::Status(other as u16)),
    }
    header(head, "content-length")
        .and_then(number)
        .ok_or(Bad::NoLength)
}

/// Reads an unsigned decimal number.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn a_response_ends_the_same_wherever_it_is_split() {
        for at in 1..WHOLE.len() {
            let mut response = Response::default();
            assert_eq!(response.feed(&WHOLE[..at]), Ok(false), "split at {at}");
            assert_eq!(response.feed(&WHOLE[at..]), Ok(true), "split at {at}");
            assert_eq!(
                response.feed(WHOLE),
                Ok(true),
                "the next response after a split at {at}"
            );
        }
    }

    #[test]
    fn what_does_not_count_is_named() {
        let feed = |bytes: &[u8]| Response::default().feed(bytes);
        assert_eq!(
            feed(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
            Err(Bad::Status(503))
        );
        assert_eq!(feed(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Bad::NoLength));
        assert_eq!(
            feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"),
            Err(Bad::Surplus)
        );
        assert_eq!(feed(b"SSH-2.0\r\n\r\n"), Err(Bad::Malformed));
    }
}
