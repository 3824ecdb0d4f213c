//! Reads certificates, keys and revocation lists in PEM from files, and says what is wrong with them.

use std::fs;
use std::io;
use std::path::Path;

use rustls::crypto::CryptoProvider;
#[cfg(feature = "accept")]
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

/// No file with certificates or a key is larger.
const MOST_BYTES: u64 = 4 << 20;

/// What is wrong with a file, and what to do about it.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// Which of the two files of a pair is wrong.
#[derive(Debug)]
pub(super) enum BadPair {
    Certificate(Bad),
    Key(Bad),
}

impl Bad {
    pub(super) fn new(file: &Path, what: impl std::fmt::Display, help: &'static str) -> Self {
        let message = format!("{}: {what}", file.display());
        Self { message, help }
    }
}

/// The certificates of authorities.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, Bad> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| {
            let help = "every certificate in the file must be that of an authority";
            Bad::new(file, error, help)
        })?;
    }
    Ok(roots)
}

/// A certificate with its chain, and its key; both may be in one file.
pub(super) fn pair(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, BadPair> {
    let chain = certificates(cert).map_err(BadPair::Certificate)?;
    let bad = |what: String, help| BadPair::Key(Bad::new(key, what, help));
    let bytes = read(key).map_err(BadPair::Key)?;
    let parsed = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let help = "write one in PEM: PKCS #8, PKCS #1 or SEC 1, without a password";
        bad("the file holds no private key".to_owned(), help)
    })?;
    let signer = provider.key_provider.load_private_key(parsed);
    let signer = signer.map_err(|error| {
        let help = "use RSA from 2048 bits on, ECDSA with P-256, P-384 or P-521, or Ed25519";
        bad(format!("the key cannot be used: {error}"), help)
    })?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let cert = cert.display();
            let what = format!("the key is not that of the certificate in {cert}");
            Err(bad(what, "name the two files of one pair"))
        }
        Err(error) => {
            let help = "write a certificate of X.509, version 3, first, and then its chain";
            Err(BadPair::Certificate(Bad::new(cert, error, help)))
        }
    }
}

/// All certificates of a file, of which there is one at least.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Bad> {
    let help = "write certificates in PEM (-----BEGIN CERTIFICATE-----)";
    some_of(file, "certificate", help)
}

/// All revocation lists of a file, of which there is one at least.
#[cfg(feature = "accept")]
pub(super) fn revocation_lists(
    file: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, Bad> {
    let help = "write revocation lists in PEM (-----BEGIN X509 CRL-----)";
    some_of(file, "revocation list", help)
}

fn some_of<T: PemObject>(file: &Path, what: &str, help: &'static str) -> Result<Vec<T>, Bad> {
    let bytes = read(file)?;
    let all: Result<Vec<_>, _> = T::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(Bad::new(
            file,
            format_args!("the file holds no {what}"),
            help,
        )),
        Err(error) => Err(Bad::new(file, error, help)),
    }
}

/// The bytes of a file of a sensible size.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Bad> {
    let too_large = || io::Error::other("the file has more than 4 MiB");
    let bytes = match fs::metadata(file) {
        Ok(size) if size.len() > MOST_BYTES => Err(too_large()),
        Ok(_) => fs::read(file),
        Err(error) => Err(error),
    };
    bytes.map_err(|error| Bad {
        message: format!("cannot read {}: {error}", file.display()),
        help: "name a file that this user can read",
    })
}
