//! What stands in the place of TLS towards clients in a program that is built without it (the feature
//! `accept`): the same names, of which nothing can ever exist. A role that never accepts TLS carries none of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::invalid::{Invalid, InvalidPart};
use super::params::AcceptorParams;
use crate::net::Secured;
use crate::telemetry::HandshakeResult;

/// Makes TLS of the connections of clients; not in this build.
#[derive(Debug)]
pub enum Acceptor {}

/// A connection whose handshake is over.
#[derive(Debug)]
pub struct Accepted {
    /// The bytes inside.
    pub stream: Box<TlsStream<TcpStream>>,
    /// What the handshake has settled.
    pub secured: Arc<Secured>,
}

impl Accepted {
    /// What it is counted as.
    pub fn result(&self) -> HandshakeResult {
        HandshakeResult::Full
    }
}

/// A handshake that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it is counted as.
    pub result: HandshakeResult,
    /// What happened.
    pub detail: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// The first message of a client; not in this build.
#[derive(Debug)]
pub enum Hello {}

/// A certificate that clients are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedCertificate {
    /// The file that it comes from.
    pub file: PathBuf,
    /// When it ends to be valid, in seconds since 1970.
    pub not_after: i64,
}

impl Acceptor {
    /// Says that this build has none.
    pub fn new(_: AcceptorParams) -> Result<Self, Invalid> {
        Err(Invalid {
            part: InvalidPart::Certificate,
            file: PathBuf::new(),
            message: "this program is built without TLS towards callers".to_owned(),
            help: "build proxy-core with its feature `accept`",
        })
    }

    /// Whether a request for a host may come on a connection.
    pub fn permits<H: AsRef<str>>(&self, _: &Secured, _: impl FnOnce() -> H) -> bool {
        match *self {}
    }

    /// What it was made of.
    pub fn params(&self) -> &AcceptorParams {
        match *self {}
    }

    /// The certificates in use.
    pub fn certificates(&self) -> Vec<Arc<ServedCertificate>> {
        match *self {}
    }

    /// Why what the files hold now is not in use.
    pub fn rejected(&self) -> Option<Arc<String>> {
        match *self {}
    }

    /// Follows the files for as long as it is polled.
    pub async fn follow(&self, _: &str) {
        match *self {}
    }

    /// Shakes hands within a time.
    pub async fn accept(&self, _: TcpStream, _: Duration) -> Result<Accepted, Refused> {
        match *self {}
    }

    /// The same with a client whose first message was read.
    pub async fn accept_hello(&self, _: Hello, _: Duration) -> Result<Accepted, Refused> {
        match *self {}
    }
}

/// The value of `Client-Cert`: none.
pub fn client_cert(_: &Secured) -> Option<HeaderValue> {
    None
}

/// The value of `Client-Cert-Chain`: none.
pub fn client_cert_chain(_: &Secured) -> Option<HeaderValue> {
    None
}
