//! One connection of an endpoint: requests without a body in, prepared answers out, one at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::super::response::{head_end, header};

/// Heads longer than this are refused.
const MAX_HEAD: usize = 64 * 1024;

/// The connection is over.
pub(super) struct Ended;

/// What has arrived and whether an answer is due.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Which endpoint it belongs to.
    pub(super) endpoint: usize,
    /// Tells it from others that had its token.
    pub(super) serial: u64,
    arrived: Vec<u8>,
    busy: bool,
    close: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, endpoint: usize, serial: u64) -> Self {
        Self {
            stream,
            endpoint,
            serial,
            arrived: Vec::new(),
            busy: false,
            close: false,
        }
    }

    /// Reads once; returns the path of a request that is now complete.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<Vec<u8>>, Ended> {
        match self.stream.read(buffer) {
            Ok(0) => return Err(Ended),
            Ok(length) => self.arrived.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(_) => return Err(Ended),
        }
        let Some(end) = head_end(&self.arrived).filter(|_| !self.busy) else {
            let is_long = self.arrived.len() > MAX_HEAD;
            return if is_long { Err(Ended) } else { Ok(None) };
        };
        let head: Vec<u8> = self.arrived.drain(..end).collect();
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let path = line.split(|byte| *byte == b' ').nth(1).ok_or(Ended)?;
        self.close = line.ends_with(b"HTTP/1.0")
            || header(&head, "connection")
                .is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        self.busy = true;
        Ok(Some(path.to_vec()))
    }

    /// Sends an answer, which is small enough for an empty socket to take it whole.
    pub(super) fn answer(&mut self, answer: &[u8]) -> Result<(), Ended> {
        self.busy = false;
        self.stream.write_all(answer).map_err(|_| Ended)?;
        if self.close { Err(Ended) } else { Ok(()) }
    }
}
