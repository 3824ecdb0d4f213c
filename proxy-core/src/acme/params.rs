//! What is to be obtained, from whom, and where it is kept.

use std::path::PathBuf;
use std::sync::Arc;

use crate::tls::{self, ChallengeKind};

/// A certificate that is to be obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// The name of the entry that shows it; what is kept of it is called so.
    pub entry: Arc<str>,
    /// The names that it is to bear, in lower case.
    pub names: Vec<String>,
    /// Whom the authority may write to, as URLs of `mailto`.
    pub contact: Vec<String>,
    /// The URL of the authority's directory (RFC 8555, 7.1.1), of `https`.
    pub directory: String,
    /// The folder that keeps it. It must be there.
    pub folder: PathBuf,
    /// How the authority sees that the names lead here.
    pub challenge: ChallengeKind,
    /// The authorities that the directory's own server is trusted by; none for those of the system.
    pub ca: Option<PathBuf>,
}

impl Params {
    /// The file with the certificate, its chain and its key.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.entry))
    }

    /// How the authority is spoken to inside TLS.
    pub fn reached(&self) -> tls::Params {
        tls::Params {
            ca: self.ca.clone(),
            ..tls::Params::default()
        }
    }
}
