//! Reads a client's first message, so that a listener can pass a connection on by the name in it, or shake hands.
//!
//! What was read is kept for whoever passes it on. It is at most 16 KiB, whatever the client sends.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use rustls::server::{Accepted, Acceptor};
use tokio::net::TcpStream;

use super::names::normal;
use super::refused::Refused;
use crate::telemetry::HandshakeResult;

/// The most bytes of a first message, headers of records included.
const MOST_BYTES: usize = 16 * 1024;

/// Alerts (RFC 8446, 6).
const HANDSHAKE_FAILURE: u8 = 40;
const UNRECOGNIZED_NAME: u8 = 112;

/// A connection of which the first message was read.
#[derive(Debug)]
pub struct Hello {
    pub(super) tcp: TcpStream,
    pub(super) accepted: Accepted,
    read: Vec<u8>,
    name: Option<String>,
}

impl Hello {
    /// Reads it within `limit`. Who speaks no TLS is told so in an alert.
    pub async fn read(tcp: TcpStream, limit: Duration) -> Result<Self, Refused> {
        let read = tokio::time::timeout(limit, Self::read_all(tcp)).await;
        read.unwrap_or_else(|_| Err(Refused::late(limit)))
    }

    /// The name that is asked for (SNI), in lower case and without a dot at its end.
    pub fn server_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The application protocols that are offered (ALPN).
    pub fn alpn(&self) -> Vec<Vec<u8>> {
        let offered = self.accepted.client_hello().alpn().into_iter().flatten();
        offered.map(<[u8]>::to_vec).collect()
    }

    /// The connection, and what was read of it, for whoever passes it on as it is.
    pub fn into_unread(self) -> (TcpStream, Vec<u8>) {
        (self.tcp, self.read)
    }

    pub(super) async fn read_all(tcp: TcpStream) -> Result<Self, Refused> {
        let mut acceptor = Acceptor::default();
        let mut read = Vec::new();
        loop {
            let mut tee = Tee {
                tcp: &tcp,
                copy: &mut read,
            };
            match acceptor.read_tls(&mut tee) {
                Ok(0) => {
                    let detail = "the client closed the connection";
                    return Err(Refused::new(HandshakeResult::Closed, detail));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tcp.readable()
                        .await
                        .map_err(|error| Refused::of_io(&error))?;
                    continue;
                }
                Err(error) => return Err(Refused::of_io(&error)),
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(normal);
                    return Ok(Self {
                        tcp,
                        accepted,
                        read,
                        name,
                    });
                }
                Ok(None) if read.len() < MOST_BYTES => {}
                Ok(None) => {
                    let detail = "the client's first message is too long";
                    return Err(Refused::new(HandshakeResult::Protocol, detail));
                }
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    let _ = alert.write_all(&mut bytes);
                    let _ = tcp.try_write(&bytes);
                    return Err(Refused::of_tls(&error));
                }
            }
        }
    }

    /// Tells the client that its name is none of ours.
    pub fn refuse_name(self) -> Refused {
        let detail = match &self.name {
            Some(name) => format!("no certificate for {name:.253}"),
            None => "the client asks for no name".to_owned(),
        };
        self.alert(UNRECOGNIZED_NAME);
        Refused::new(HandshakeResult::UnknownName, detail)
    }

    /// Tells the client that it can verify none of our certificates.
    pub(super) fn refuse_signatures(self) -> Refused {
        let detail = "no certificate whose signature the client can verify";
        self.alert(HANDSHAKE_FAILURE);
        Refused::new(HandshakeResult::NoSharedCipher, detail)
    }

    /// Sends a fatal alert, before there is a session that could.
    fn alert(&self, description: u8) {
        let _ = self.tcp.try_write(&[21, 3, 3, 0, 2, 2, description]);
    }
}

/// Reads what has come, and keeps a copy.
struct Tee<'a> {
    tcp: &'a TcpStream,
    copy: &'a mut Vec<u8>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.tcp.try_read(buf)?;
        self.copy
            .extend_from_slice(buf.get(..read).unwrap_or_default());
        Ok(read)
    }
}
