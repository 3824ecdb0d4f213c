//! What the TLS handshake of a downstream connection has settled: plain data, for whoever decides about its requests.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ProtocolVersion, SupportedCipherSuite};

/// Tells one set of rules for client certificates from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyId(pub [u8; 32]);

/// A TLS session with a client.
#[derive(Debug, Clone)]
pub struct Secured {
    /// The name that the client asked for (SNI), in lower case.
    pub server_name: Option<Arc<str>>,
    /// The application protocol that was agreed on (ALPN).
    pub alpn: Option<Vec<u8>>,
    /// The version of TLS.
    pub version: Option<ProtocolVersion>,
    /// The cipher suite.
    pub cipher: Option<SupportedCipherSuite>,
    /// Whether the session of an earlier connection goes on.
    pub resumed: bool,
    /// The rules for client certificates that the handshake was held to.
    pub policy: PolicyId,
    /// The client's certificate, which was verified, and what it sent of its chain; empty where it has none.
    pub peer: Vec<CertificateDer<'static>>,
}

impl Secured {
    /// Whether HTTP/2 was agreed on.
    pub fn is_http2(&self) -> bool {
        self.alpn.as_deref() == Some(b"h2")
    }
}
