//! The client half of one HTTP/2 connection without its socket: bytes in, bytes out, requests counted.
//!
//! Response headers are not decoded: a response counts when its header block starts with the
//! static-table entry for `:status: 200` (RFC 7541, index 8), which is how every server writes it.

use anyhow::{Result, bail};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// How many received bytes are gathered before the connection's window is opened again.
const WINDOW_STEP: u32 = 1024 * 1024;
/// The window that is opened at the start, for the connection and for each stream.
const WINDOW: u32 = 16 * 1024 * 1024;

/// One connection's state.
#[derive(Debug)]
pub(super) struct Wire {
    output: Vec<u8>,
    input: Vec<u8>,
    block: Vec<u8>,
    next_stream: u32,
    unacknowledged: u32,
    in_flight: u64,
    completed: u64,
}

impl Wire {
    /// A connection that asks for `path`, inside TLS or not, with its preface ready to be sent.
    pub(super) fn new(path: &str, secure: bool) -> Self {
        let mut wire = Self {
            output: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            input: Vec::new(),
            block: request_block(path, secure),
            next_stream: 1,
            unacknowledged: 0,
            in_flight: 0,
            completed: 0,
        };
        let mut settings = vec![0, 2, 0, 0, 0, 0, 0, 4]; // ENABLE_PUSH = 0, INITIAL_WINDOW_SIZE = ...
        settings.extend_from_slice(&WINDOW.to_be_bytes());
        wire.frame(SETTINGS, 0, 0, &settings);
        wire.frame(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
        wire
    }

    /// Queues one more request on a stream of its own.
    pub(super) fn request(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.frame(HEADERS, END_STREAM | END_HEADERS, self.next_stream, &block);
        self.block = block;
        self.next_stream += 2;
        self.in_flight += 1;
    }

    /// What is to be written; the caller clears it once it is.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Requests that were sent and are not answered.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Requests that were answered with 200.
    pub(super) fn completed(&self) -> u64 {
        self.completed
    }

    /// Takes received bytes and returns how many requests they completed.
    pub(super) fn feed(&mut self, data: &[u8]) -> Result<usize> {
        let before = self.completed;
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(data);
        let mut at = 0;
        while let Some((head, rest)) = input[at..].split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some(payload) = rest.get(..length) else {
                break;
            };
            self.receive(head[3], head[4], payload)?;
            at += head.len() + length;
        }
        input.drain(..at);
        self.input = input;
        Ok((self.completed - before) as usize)
    }

    fn receive(&mut self, kind: u8, flags: u8, payload: &[u8]) -> Result<()> {
        match kind {
            DATA => self.consumed(payload.len() as u32),
            HEADERS if !is_success(flags, payload) => bail!("a response without status 200"),
            SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => self.frame(PING, ACK, 0, payload),
            RST_STREAM => bail!("stream reset, code {:?}", payload),
            GOAWAY => bail!("connection ended by GOAWAY, {:?}", payload.get(4..8)),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.completed += 1;
        }
        Ok(())
    }

    /// Opens the connection's window again from time to time.
    fn consumed(&mut self, length: u32) {
        self.unacknowledged += length;
        if self.unacknowledged >= WINDOW_STEP {
            let step = std::mem::take(&mut self.unacknowledged);
            self.frame(WINDOW_UPDATE, 0, 0, &step.to_be_bytes());
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.output
            .extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        self.output.extend_from_slice(&[kind, flags]);
        self.output.extend_from_slice(&stream.to_be_bytes());
        self.output.extend_from_slice(payload);
    }
}

/// The header block of a GET, with nothing added to the server's dynamic table.
fn request_block(path: &str, secure: bool) -> Vec<u8> {
    let scheme = if secure { 0x87 } else { 0x86 };
    let mut block = vec![0x82, scheme]; // :method GET, :scheme https or http
    for (index, value) in [(4, path), (1, "bench.test")] {
        // A literal without indexing, its name from the static table: 4 is :path, 1 is :authority.
        block.extend_from_slice(&[index, value.len() as u8]);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// Whether a header block begins with `:status: 200`, after any change of table size.
fn is_success(flags: u8, payload: &[u8]) -> bool {
    let skip = usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
    let block = payload.get(skip..).unwrap_or_default();
    block.iter().find(|byte| **byte & 0xe0 != 0x20) == Some(&0x88)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_counted_however_it_is_cut() {
        let mut wire = vec![0, 0, 1, HEADERS, END_HEADERS, 0, 0, 0, 1, 0x88];
        wire.extend_from_slice(&[0, 0, 2, DATA, END_STREAM, 0, 0, 0, 1, b'o', b'k']);
        for at in 0..wire.len() {
            let mut client = Wire::new("/1k", false);
            client.request();
            assert_eq!(client.feed(&wire[..at]).expect("first part"), 0);
            assert_eq!(client.feed(&wire[at..]).expect("second part"), 1);
            assert_eq!((client.in_flight(), client.completed()), (0, 1));
        }
    }

    #[test]
    fn another_status_fails() {
        let wire = [0, 0, 1, HEADERS, END_HEADERS | END_STREAM, 0, 0, 0, 1, 0x8d];
        assert!(Wire::new("/1k", false).feed(&wire).is_err());
    }
}
