//! Certificates and keys, from the files that hold them to what rustls works with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};

use super::spiffe::SpiffeVerifier;
use crate::tls::pem::{self, Bad, BadPair};

/// For how long the authorities of the system are taken to be what they were.
const SAME: Duration = Duration::from_secs(10);

/// The authorities of the system, and when they were read: a thousand entries that start together share them.
static SYSTEM: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);

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

impl Unusable {
    fn new(part: Part, Bad { message, help }: Bad) -> Self {
        Self {
            part,
            message,
            help,
        }
    }
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
        let roots = match &params.ca {
            Some(file) => Arc::new(pem::roots(file).map_err(|bad| Unusable::new(Part::Ca, bad))?),
            None => system_roots()?,
        };
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
                let pair = pem::pair(cert, key, &provider).map_err(|bad| match bad {
                    BadPair::Certificate(bad) => Unusable::new(Part::Certificate, bad),
                    BadPair::Key(bad) => Unusable::new(Part::Key, bad),
                })?;
                let resolver = rustls::sign::SingleCertAndKey::from(Arc::new(pair));
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        Ok(Self(config))
    }
}

fn system_roots() -> Result<Arc<RootCertStore>, Unusable> {
    let mut system = SYSTEM.lock();
    if let Some((read, roots)) = &*system
        && read.elapsed() < SAME
    {
        return Ok(Arc::clone(roots));
    }
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
    let roots = Arc::new(roots);
    *system = Some((Instant::now(), Arc::clone(&roots)));
    Ok(roots)
}
