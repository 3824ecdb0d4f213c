//! The one certificate that all proxies show: ECDSA on P-256, signed by itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::load::secure::NAME;

/// Where it lies, in PEM.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: String,
    pub(super) key: String,
    /// Both in one file, as HAProxy takes them.
    pub(super) both: String,
}

/// Makes it anew in this folder.
pub(super) fn make(dir: &Path) -> Result<Files> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = CertificateParams::new([NAME.to_owned()])?.self_signed(&key)?;
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok(path.display().to_string())
    };
    Ok(Files {
        both: write("tls.pem", &format!("{certificate}{key}"))?,
        certificate: write("tls.crt", &certificate)?,
        key: write("tls.key", &key)?,
    })
}
