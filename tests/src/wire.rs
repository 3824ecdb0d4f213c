//! One TCP connection as a test sees it: bytes, and whether it ended cleanly or by a reset.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::promise::expect;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer closed its side.
    Closed,
    /// The peer reset the connection, or it failed otherwise.
    Reset,
}

/// A connection, on either side of it.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Takes over an accepted connection.
    pub fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        let connected = expect("a connection", TcpStream::connect(address)).await;
        Self::new(connected.unwrap_or_else(|why| panic!("connecting to {address}: {why}")))
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the peer has closed or reset the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        expect(
            "the peer to take bytes",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
    }

    /// Reads through the next `pattern` and returns it with all before it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] when the connection ends before, or the error it ended with.
    pub async fn through(&mut self, pattern: &str) -> io::Result<String> {
        let pattern = pattern.as_bytes();
        loop {
            if let Some(at) = self
                .buffer
                .windows(pattern.len())
                .position(|part| part == pattern)
            {
                let rest = self.buffer.split_off(at + pattern.len());
                let found = std::mem::replace(&mut self.buffer, rest);
                return Ok(String::from_utf8_lossy(&found).into_owned());
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads a message's head: through the first empty line.
    ///
    /// # Errors
    ///
    /// As [`Wire::through`].
    pub async fn head(&mut self) -> io::Result<String> {
        self.through("\r\n\r\n").await
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Errors
    ///
    /// As [`Wire::through`].
    pub async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads to the end of the connection: all that came, and how it ended.
    pub async fn rest(&mut self) -> (Vec<u8>, Ending) {
        let ending = loop {
            match self.more().await {
                Ok(0) => break Ending::Closed,
                Ok(_) => {}
                Err(_) => break Ending::Reset,
            }
        };
        (std::mem::take(&mut self.buffer), ending)
    }

    /// Waits until there is something to read, or the end, and reads nothing.
    pub async fn readable(&self) {
        if self.buffer.is_empty() {
            let _ = expect("bytes or the end", self.stream.readable()).await;
        }
    }

    /// Closes the sending side; what the peer sends can still be read.
    ///
    /// # Errors
    ///
    /// When the connection has failed already.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
    }

    /// The two sides of the connection, and what was read but not taken.
    pub fn split(self) -> (OwnedReadHalf, OwnedWriteHalf, Vec<u8>) {
        let (reader, writer) = self.stream.into_split();
        (reader, writer, self.buffer)
    }

    /// The address of this side.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket")
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.buffer.reserve(64 * 1024);
        expect("bytes", self.stream.read_buf(&mut self.buffer)).await
    }
}
