//! Who a client is, by its certificate: as fields for a service (RFC 9440), and as names.

use std::net::IpAddr;

use data_encoding::BASE64;
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::net::Secured;

/// The value of `Client-Cert` (RFC 9440, 2.2); none where the client has no certificate.
pub fn client_cert(secured: &Secured) -> Option<HeaderValue> {
    let leaf = secured.peer.first()?;
    HeaderValue::try_from(encoded(leaf)).ok()
}

/// The value of `Client-Cert-Chain` (RFC 9440, 2.3): what the client sent after its own
/// certificate, in that order. None where it sent no more.
pub fn client_cert_chain(secured: &Secured) -> Option<HeaderValue> {
    let chain = secured.peer.get(1..).filter(|chain| !chain.is_empty())?;
    let chain: Vec<String> = chain.iter().map(encoded).collect();
    HeaderValue::try_from(chain.join(", ")).ok()
}

/// A byte sequence of a structured field (RFC 8941, 3.3.5).
fn encoded(certificate: &CertificateDer<'_>) -> String {
    format!(":{}:", BASE64.encode(certificate))
}

/// What a client's certificate calls it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerNames {
    /// The subject, such as `CN=ann, O=Example`.
    pub subject: String,
    /// Alternative names that are hosts.
    pub dns: Vec<String>,
    /// Alternative names that are URIs, such as SPIFFE IDs.
    pub uri: Vec<String>,
    /// Alternative names that are addresses of mail.
    pub email: Vec<String>,
    /// Alternative names that are addresses.
    pub ip: Vec<IpAddr>,
}

impl PeerNames {
    /// Reads the certificate; none where the client has none.
    pub fn of(secured: &Secured) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(secured.peer.first()?).ok()?;
        let mut names = Self {
            subject: parsed.subject().to_string(),
            ..Self::default()
        };
        let alternative = parsed.subject_alternative_name().ok().flatten();
        let alternative = alternative.map(|extension| &extension.value.general_names);
        for name in alternative.into_iter().flatten() {
            match name {
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::URI(name) => names.uri.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => names.email.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.ip.extend(address(bytes)),
                _ => {}
            }
        }
        Some(names)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
