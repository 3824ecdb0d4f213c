//! What of [`AcceptorParams`](super::AcceptorParams) cannot be used, and why.

use std::fmt;
#[cfg(feature = "accept")]
use std::path::Path;
use std::path::PathBuf;

#[cfg(feature = "accept")]
use crate::tls::pem::{Bad, BadPair};

/// The part that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidPart {
    /// A certificate.
    Certificate,
    /// A key.
    Key,
    /// A folder of pairs, or all of them together.
    Folder,
    /// The authorities of clients.
    ClientCa,
    /// A revocation list.
    Crl,
    /// A name with rules of its own.
    Host,
    /// The keys of tickets.
    Tickets,
    /// A certificate that is to be obtained.
    Acme,
}

/// What cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Which part it is.
    pub part: InvalidPart,
    /// The file or folder; empty where there is none.
    pub file: PathBuf,
    /// What is wrong, with the file's name.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

#[cfg(feature = "accept")]
impl Invalid {
    pub(super) fn new(part: InvalidPart, file: &Path, bad: Bad) -> Self {
        Self {
            part,
            file: file.to_owned(),
            message: bad.message,
            help: bad.help,
        }
    }

    pub(super) fn pair(cert: &Path, key: &Path, bad: BadPair) -> Self {
        match bad {
            BadPair::Certificate(bad) => Self::new(InvalidPart::Certificate, cert, bad),
            BadPair::Key(bad) => Self::new(InvalidPart::Key, key, bad),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for Invalid {}
