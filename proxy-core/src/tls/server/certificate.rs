//! What a certificate says of itself: names, and when it is valid.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that is shown to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedCertificate {
    /// The file that it comes from.
    pub file: PathBuf,
    /// The host names that it bears, wildcards among them.
    pub names: Vec<String>,
    /// When it begins to be valid, in seconds since 1970.
    pub not_before: i64,
    /// When it ends to be valid, in seconds since 1970.
    pub not_after: i64,
    /// The SHA-256 of its DER.
    pub fingerprint: [u8; 32],
}

impl ServedCertificate {
    /// Reads what `der` says.
    pub(super) fn read(file: &Path, der: &[u8]) -> Result<Self, &'static str> {
        let (_, parsed) =
            X509Certificate::from_der(der).map_err(|_| "the certificate is malformed")?;
        let bearer = rustls::pki_types::CertificateDer::from(der);
        let bearer = webpki::EndEntityCert::try_from(&bearer)
            .map_err(|_| "the certificate is not one of X.509, version 3")?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        Ok(Self {
            file: file.to_owned(),
            names: bearer.valid_dns_names().map(super::names::normal).collect(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            fingerprint,
        })
    }

    /// Whether it is valid at `now`, in seconds since 1970.
    pub fn is_valid(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}
