//! A certificate that is obtained while the process runs: where it will be, and what is true while it is not there.

use std::path::Path;

use super::invalid::{Invalid, InvalidPart};
use super::params::Obtained;
use crate::tls::pem::Bad;
#[cfg(feature = "acme")]
use {
    super::certificate::ServedCertificate, super::challenges::Challenges, crate::tls::pem,
    crate::tls::pem::BadPair,
};

impl Obtained {
    /// Whether this build and this machine can have one.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let invalid = |bad| Invalid::new(InvalidPart::Acme, &self.file, bad);
        if cfg!(not(feature = "acme")) {
            return Err(invalid(Bad {
                message: "this program is built without ACME".to_owned(),
                help: "build proxy-core with its feature `acme`",
            }));
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        if folder.is_dir() {
            return Ok(());
        }
        let help = "make the folder, of the user that this runs as and with mode 0700";
        Err(invalid(Bad::new(folder, "there is no such folder", help)))
    }
}

#[cfg(feature = "acme")]
impl Obtained {
    pub(super) fn answers(&self) -> Option<Challenges> {
        self.challenges.as_deref().map(Challenges::of)
    }
}

#[cfg(feature = "acme")]
impl ServedCertificate {
    /// Reads a file with a certificate, its chain and its key, and sees whether they can be used.
    ///
    /// # Errors
    /// What is wrong, with the file's name; nothing of what it holds.
    pub fn of_file(file: &Path) -> Result<Self, String> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let pair = pem::pair(file, file, &provider);
        let pair = pair.map_err(|(BadPair::Certificate(bad) | BadPair::Key(bad))| bad.message)?;
        let leaf = pair.cert.first().map(|leaf| &leaf[..]);
        let read = Self::read(file, leaf.unwrap_or_default());
        read.map_err(|what| format!("{}: {what}", file.display()))
    }
}
