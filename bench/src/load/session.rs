//! A connection inside TLS that keeps no buffer of its own while it is idle.
//!
//! It uses rustls without its buffers: the socket is read in large pieces into the caller's buffer, where the
//! buffered connection of rustls would read 4 KiB at a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Result, bail};
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, HandshakeKind};

use super::secure;
use super::stream::Got;

/// Room for a record of the handshake, and for what encryption adds to a request.
const ROOM: usize = 4096;

/// One connection.
pub(super) struct Session {
    pub(super) socket: TcpStream,
    tls: UnbufferedClientConnection,
    /// The start of a record whose end has not arrived.
    partial: Vec<u8>,
    /// Records to be written, and how much of them was.
    output: Vec<u8>,
    written: usize,
    /// Whether requests may be sent, and whether the server has said that it sends no more.
    open: bool,
    ended: bool,
}

impl Session {
    /// Begins a handshake, the first message of which is sent.
    pub(super) fn begin(socket: TcpStream, config: &Arc<ClientConfig>) -> Result<Self> {
        let mut session = Self {
            socket,
            tls: UnbufferedClientConnection::new(Arc::clone(config), secure::name()?)?,
            partial: Vec::new(),
            output: Vec::new(),
            written: 0,
            open: false,
            ended: false,
        };
        session.process(&mut [], &[], &mut |_| Ok(()))?;
        session.flush()?;
        Ok(session)
    }

    /// Whether the handshake is over on this side.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// How the handshake went; known once it is over.
    pub(super) fn kind(&self) -> Option<HandshakeKind> {
        self.tls.handshake_kind()
    }

    /// The key exchange that both agreed on, by name.
    pub(super) fn group(&self) -> Option<String> {
        let group = self.tls.negotiated_key_exchange_group()?;
        Some(format!("{:?}", group.name()))
    }

    /// Reads once, and passes on what was inside.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Got> {
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        let length = match self.socket.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(Got::End),
            Ok(length) => kept + length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Got::Nothing),
            Err(error) => return Err(error.into()),
        };
        let used = self.process(&mut buffer[..length], &[], take)?;
        self.partial.clear();
        self.partial.extend_from_slice(&buffer[used..length]);
        self.flush()?;
        Ok(if self.ended { Got::End } else { Got::Data })
    }

    /// Encrypts all of `data` and writes what the socket takes, once all before it is written.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if !self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.process(&mut [], data, &mut |_| Ok(()))
            .map_err(io::Error::other)?;
        self.flush()?;
        Ok(data.len())
    }

    /// Writes what the socket takes, and says whether that was all.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while self.written < self.output.len() {
            match self.socket.write(&self.output[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(true)
    }

    /// Takes what arrived and puts `data` behind what is to be written; returns how much of the input was used.
    fn process(
        &mut self,
        input: &mut [u8],
        data: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<usize> {
        let mut used = 0;
        loop {
            let status = self.tls.process_tls_records(&mut input[used..]);
            let UnbufferedStatus { mut discard, state } = status;
            let goes_on = match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        take(record.payload)?;
                    }
                    true
                }
                ConnectionState::EncodeTlsData(message) => {
                    encode(message, &mut self.output)?;
                    true
                }
                ConnectionState::TransmitTlsData(transmit) => {
                    transmit.done();
                    true
                }
                ConnectionState::WriteTraffic(traffic) => {
                    self.open = true;
                    encrypt(traffic, data, &mut self.output)?;
                    false
                }
                ConnectionState::BlockedHandshake if data.is_empty() => false,
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    self.ended = true;
                    false
                }
                other => bail!("the TLS connection is in an unexpected state: {other:?}"),
            };
            used += discard;
            if !goes_on {
                return Ok(used);
            }
        }
    }
}

fn encode<D>(mut message: EncodeTlsData<'_, D>, output: &mut Vec<u8>) -> Result<()> {
    append(output, ROOM, |space| match message.encode(space) {
        Err(EncodeError::InsufficientSize(size)) => Err(Ok(size)),
        other => other.map_err(|error| Err(error.into())),
    })
}

fn encrypt<D>(mut traffic: WriteTraffic<'_, D>, data: &[u8], output: &mut Vec<u8>) -> Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    append(output, data.len() + ROOM, |space| {
        match traffic.encrypt(data, space) {
            Err(EncryptError::InsufficientSize(size)) => Err(Ok(size)),
            other => other.map_err(|error| Err(error.into())),
        }
    })
}

/// Lets `fill` write behind `output`, a second time where there was not enough room.
fn append(
    output: &mut Vec<u8>,
    mut room: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Result<InsufficientSizeError, anyhow::Error>>,
) -> Result<()> {
    let start = output.len();
    loop {
        output.resize(start + room, 0);
        match fill(&mut output[start..]) {
            Ok(length) => {
                output.truncate(start + length);
                return Ok(());
            }
            Err(Ok(InsufficientSizeError { required_size })) if required_size > room => {
                room = required_size;
            }
            Err(Ok(size)) => bail!("no room for {} bytes", size.required_size),
            Err(Err(error)) => return Err(error),
        }
    }
}
