//! How clients of an entry are spoken to: certificates, versions, protocols, client certificates, tickets.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "accept")]
use crate::tls::follow::Sources;

/// How clients of an entry are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptorParams {
    /// Files with a certificate and its chain, each with the file of its key. The first pair serves
    /// clients that ask for no name, or for one that no certificate bears.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// Folders with pairs: `NAME.crt` or `NAME.pem` with `NAME.key` beside it, or `NAME.pem` that
    /// holds both. What has no key is passed over. They come after `pairs`, by name.
    pub folders: Vec<PathBuf>,
    /// A certificate that is obtained while this runs; it comes after those of `folders`.
    pub obtained: Option<Obtained>,
    /// Whether clients are refused that ask for no name, or for one that no certificate bears.
    pub strict: bool,
    /// The oldest version of TLS that is spoken.
    pub minimum: MinimumVersion,
    /// The application protocols (ALPN, RFC 7301), the preferred one first. A client that offers
    /// none of them is refused; one that offers none at all is not. Empty: nothing is negotiated.
    pub alpn: Vec<Vec<u8>>,
    /// The rules for client certificates, for names that have none of their own.
    pub clients: ClientPolicy,
    /// Rules for names: exact ones (`a.example.com`), or all below one (`*.example.com`), as routes name hosts.
    pub hosts: Vec<(String, ClientPolicy)>,
    /// How sessions are resumed.
    pub tickets: Tickets,
}

impl Default for AcceptorParams {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            folders: Vec::new(),
            obtained: None,
            strict: false,
            minimum: MinimumVersion::default(),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            clients: ClientPolicy::default(),
            hosts: Vec::new(),
            tickets: Tickets::default(),
        }
    }
}

/// A certificate that is obtained, and renewed, while this runs, by whoever writes its file (the feature `acme`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obtained {
    /// The file with the certificate, its chain and its key, in PEM. It need not be there yet: what cannot be used
    /// is left out, and what was in use before stays.
    pub file: PathBuf,
    /// The names that it is for, in lower case. Clients that ask for one of them before it is there are refused.
    pub names: Vec<String>,
    /// The folder that holds answers to challenges; none where handshakes answer none.
    pub challenges: Option<PathBuf>,
}

/// How an ACME authority sees that a name leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// By a request for a token (RFC 8555, 8.3).
    Http01,
    /// By a handshake for a name (RFC 8737).
    TlsAlpn01,
}

/// The oldest version of TLS that is spoken. There is none before 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinimumVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Whether clients need certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientPolicy {
    /// They are not asked for any.
    #[default]
    None,
    /// A client may have none; one that it has must be valid.
    Optional(Authorities),
    /// Every client must have one.
    Required(Authorities),
}

/// Who issues certificates to clients, and which of them are revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// A file with the certificates of the authorities.
    pub ca: PathBuf,
    /// Files with revocation lists. Where there are any, each certificate of a chain below the
    /// authority must be told of by a list that is valid at the time: a client whose issuer has no
    /// list, or only an outdated one, is refused. Empty: nothing is looked up.
    pub crls: Vec<PathBuf>,
}

/// How sessions are resumed. Tickets are the only way: nothing is kept of a session here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tickets {
    /// Not at all.
    Off,
    /// By tickets under random keys that change so often; the two former keys still open what they
    /// have sealed. A ticket lives for two such periods, and for seven days at the most.
    Rotated(Duration),
    /// By tickets under the keys of a file, which replicas share; a ticket lives for a day.
    ///
    /// A key is a line of 64 hexadecimal digits, 32 random bytes, such as `openssl rand -hex 32`
    /// makes. There are 1 to 16, each a different one; the first seals, and all of them open. Blank
    /// lines and those that begin with `#` are passed over. To change keys without a lost ticket, a
    /// new key is added as the last one, made the first when every replica has it, and an old one
    /// removed after a day.
    Shared(PathBuf),
}

impl Default for Tickets {
    fn default() -> Self {
        Self::Rotated(Duration::from_secs(12 * 60 * 60))
    }
}

#[cfg(feature = "accept")]
impl ClientPolicy {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let authorities = match self {
            Self::None => None,
            Self::Optional(authorities) | Self::Required(authorities) => Some(authorities),
        };
        let files = authorities.map(|given| std::iter::once(&given.ca).chain(&given.crls));
        files.into_iter().flatten()
    }
}

#[cfg(feature = "accept")]
impl AcceptorParams {
    /// All files that it is made of.
    pub(super) fn sources(&self) -> Sources {
        let pairs = self.pairs.iter().flat_map(|(cert, key)| [cert, key]);
        let policies = self.hosts.iter().map(|(_, policy)| policy);
        let policies = std::iter::once(&self.clients).chain(policies);
        let keys = match &self.tickets {
            Tickets::Shared(file) => Some(file),
            _ => None,
        };
        let pairs = pairs.chain(self.obtained.iter().map(|one| &one.file));
        let files = pairs.chain(policies.flat_map(ClientPolicy::files));
        Sources {
            files: files.chain(keys).cloned().collect(),
            folders: self.folders.clone(),
        }
    }
}
