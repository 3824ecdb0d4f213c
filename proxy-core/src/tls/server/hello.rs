//! Reads a client's first message, so that a listener can pass a connection on by the name in it, or shake hands.
//!
//! What was read is kept for whoever passes it on. It is at most 16 KiB, whatever the client sends.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use rustls::server::{Accepted, Acceptor};
use rustls::{Error, PeerIncompatible};
use tokio::net::TcpStream;

use super::names::normal;
use super::refused::Refused;
use super::turned::{Turned, answer, is_request, within};
use crate::telemetry::HandshakeResult;

/// The most bytes of a first message, headers of records included.
const MOST_BYTES: usize = 16 * 1024;

/// Alerts (RFC 8446, 6).
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const INTERNAL_ERROR: u8 = 80;
#[cfg(feature = "acme")]
const NO_APPLICATION_PROTOCOL: u8 = 120;
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
    /// Reads it within `limit`. Who speaks no TLS is told so: in an alert, or with 400 where it is HTTP.
    pub async fn read(tcp: TcpStream, limit: Duration) -> Result<Self, Refused> {
        within(limit, Self::read_all(tcp)).await
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

    pub(super) async fn read_all(tcp: TcpStream) -> Result<Self, Turned> {
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
                    return Err(Refused::new(HandshakeResult::Closed, detail).into());
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tcp.readable()
                        .await
                        .map_err(|error| Refused::of_io(&error))?;
                    continue;
                }
                Err(error) => return Err(Refused::of_io(&error).into()),
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
                    return Err(Refused::new(HandshakeResult::Protocol, detail).into());
                }
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    let _ = alert.write_all(&mut bytes);
                    return Err(refuse(&error, bytes, tcp, &read));
                }
            }
        }
    }

    /// Sees the client off: the name that it asks for is none of ours.
    pub async fn dismiss(self) -> Refused {
        self.refuse_name().leave().await
    }

    /// Tells the client that its name is none of ours.
    pub(super) fn refuse_name(self) -> Turned {
        let detail = match &self.name {
            Some(name) => format!("no certificate for {name:.253}"),
            None => "the client asks for no name".to_owned(),
        };
        let refused = Refused::new(HandshakeResult::UnknownName, detail);
        self.turn_away(refused, UNRECOGNIZED_NAME)
    }

    /// Tells the client that it can verify none of our certificates.
    pub(super) fn refuse_signatures(self) -> Turned {
        let detail = "no certificate whose signature the client can verify";
        let refused = Refused::new(HandshakeResult::NoSharedCipher, detail);
        self.turn_away(refused, HANDSHAKE_FAILURE)
    }

    /// Tells the client that there is no certificate for its name yet.
    pub(super) fn refuse_awaited(self) -> Turned {
        let detail = match &self.name {
            Some(name) => format!("the certificate for {name:.253} is yet to be obtained"),
            None => "the certificate is yet to be obtained".to_owned(),
        };
        let refused = Refused::new(HandshakeResult::Awaited, detail);
        self.turn_away(refused, INTERNAL_ERROR)
    }

    /// Tells an authority that no challenge is expected for its name.
    #[cfg(feature = "acme")]
    pub(super) fn refuse_challenge(self) -> Turned {
        let name = self.name.as_deref().unwrap_or_default();
        let detail = format!("there is no challenge to answer for {name:.253}");
        let refused = Refused::new(HandshakeResult::NoSharedProtocol, detail);
        self.turn_away(refused, NO_APPLICATION_PROTOCOL)
    }

    /// Sends a fatal alert, before there is a session that could.
    fn turn_away(self, refused: Refused, description: u8) -> Turned {
        Turned::tell(refused, self.tcp, &fatal(description))
    }
}

/// Turns away who has sent no first message that can be used, for this error, and by `alert` unless more can be said.
fn refuse(error: &Error, alert: Vec<u8>, tcp: TcpStream, read: &[u8]) -> Turned {
    let refused = Refused::of_tls(error);
    if is_request(read) {
        return Turned::tell(refused, tcp, answer().as_bytes());
    }
    let unsigned = PeerIncompatible::SignatureAlgorithmsExtensionRequired;
    if *error == Error::PeerIncompatible(unsigned) && is_old(read) {
        // Versions before 1.2 have no such extension, which is looked for first.
        let detail = "the client speaks no version of TLS after 1.1";
        let refused = Refused::new(HandshakeResult::Version, detail);
        return Turned::tell(refused, tcp, &fatal(PROTOCOL_VERSION));
    }
    Turned::tell(refused, tcp, &alert)
}

/// Whether a first message is of a version before TLS 1.2: that stands behind the headers of record and message.
fn is_old(read: &[u8]) -> bool {
    read.get(9..11)
        .is_some_and(|version| version < [3, 3].as_slice())
}

/// The record of a fatal alert.
fn fatal(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
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
