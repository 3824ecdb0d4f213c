//! Certificates and keys, from the files that hold them to what rustls works with.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use super::spiffe::SpiffeVerifier;

/// No file with certificates or a key is larger.
const MOST_BYTES: u64 = 4 << 20;

/// How upstreams of an entry are spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params {
    /// The certificates of the authorities that are trusted; none for those of the system.
    pub ca: Option<PathBuf>,
    /// Our own certificate with its chain, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that is asked for and that the certificate must bear; none for the endpoint's own.
    pub name: Option<String>,
    /// The SPIFFE ID that the certificate must bear instead of a name.
    pub spiffe: Option<String>,
}

impl Params {
    /// The files that it is made of.
    pub fn files(&self) -> Vec<&Path> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        let all = self.ca.iter().chain(identity);
        all.map(PathBuf::as_path).collect()
    }
}

/// The part of [`Params`] that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The trusted authorities.
    Ca,
    /// Our certificate.
    Certificate,
    /// Our key.
    Key,
}

/// What cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Which part it is.
    pub part: Part,
    /// What is wrong, with the file's name.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for Unusable {}

/// What the files hold, ready for use.
#[derive(Debug, Clone)]
pub struct Material(pub(super) ClientConfig);

impl Material {
    /// Reads the files and sees whether they fit together.
    pub fn load(params: &Params) -> Result<Self, Unusable> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(match &params.ca {
            Some(file) => own_roots(file)?,
            None => system_roots()?,
        });
        let unusable_roots = |error: &dyn fmt::Display| Unusable {
            part: Part::Ca,
            message: format!("the authorities cannot be used: {error}"),
            help: "name a file with certificates of authorities",
        };
        let verifier: Arc<dyn ServerCertVerifier> = match &params.spiffe {
            Some(id) => Arc::new(SpiffeVerifier::new(id.clone(), roots, &provider)),
            None => WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| unusable_roots(&error))?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable_roots(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &params.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let pair = Arc::new(pair(cert, key, &provider)?);
                let resolver = rustls::sign::SingleCertAndKey::from(pair);
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        Ok(Self(config))
    }
}

fn own_roots(file: &Path) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, Part::Ca)? {
        roots.add(certificate).map_err(|error| Unusable {
            part: Part::Ca,
            message: format!("{}: {error}", file.display()),
            help: "every certificate in the file must be that of an authority",
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, Unusable> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(Unusable {
            part: Part::Ca,
            message: "this system has no certificates of authorities".to_owned(),
            help: "name a file with `tls: {ca: FILE}`, or install the package ca-certificates",
        });
    }
    Ok(roots)
}

fn pair(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Unusable> {
    let chain = certificates(cert, Part::Certificate)?;
    let wrong_key = |message: String, help| Unusable {
        part: Part::Key,
        message: format!("{}: {message}", key.display()),
        help,
    };
    let parsed = PrivateKeyDer::from_pem_slice(&read(key, Part::Key)?).map_err(|_| {
        let help = "write one in PEM: PKCS #8, PKCS #1 or SEC 1, without a password";
        wrong_key("the file holds no private key".to_owned(), help)
    })?;
    let signer = provider.key_provider.load_private_key(parsed);
    let signer = signer.map_err(|error| {
        let help = "use RSA from 2048 bits on, ECDSA with P-256, P-384 or P-521, or Ed25519";
        wrong_key(format!("the key cannot be used: {error}"), help)
    })?;
    let pair = CertifiedKey::new(chain, signer);
    pair.keys_match().map_err(|_| {
        let message = format!(
            "the key is not that of the certificate in {}",
            cert.display()
        );
        wrong_key(message, "name the two files of one pair")
    })?;
    Ok(pair)
}

fn certificates(file: &Path, part: Part) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let bytes = read(file, part)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let message = match all {
        Ok(all) if !all.is_empty() => return Ok(all),
        Ok(_) => format!("{}: the file holds no certificate", file.display()),
        Err(error) => format!("{}: {error}", file.display()),
    };
    let help = "write certificates in PEM (-----BEGIN CERTIFICATE-----)";
    Err(Unusable {
        part,
        message,
        help,
    })
}

fn read(file: &Path, part: Part) -> Result<Vec<u8>, Unusable> {
    let too_large = || io::Error::other("the file has more than 4 MiB");
    let bytes = match fs::metadata(file) {
        Ok(size) if size.len() > MOST_BYTES => Err(too_large()),
        Ok(_) => fs::read(file),
        Err(error) => Err(error),
    };
    bytes.map_err(|error| Unusable {
        part,
        message: format!("cannot read {}: {error}", file.display()),
        help: "name a file that this user can read",
    })
}
