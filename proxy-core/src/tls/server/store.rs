//! The certificates of an entry: which one is shown follows from the name that is asked for and the signatures that the client takes.
//!
//! A store never changes. A reload makes another one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::certificate::ServedCertificate;
use super::invalid::{Invalid, InvalidPart};
use super::names::{Names, normal};
use super::pairs;
use super::params::AcceptorParams;
use crate::tls::pem::{self, Bad};

/// All certificates.
#[derive(Debug)]
pub(super) struct Store {
    by_name: Names<Choice>,
    default: Choice,
    strict: bool,
    served: Vec<Arc<ServedCertificate>>,
    /// What is obtained, as far as it is there.
    obtained: Option<Candidate>,
    /// Names whose certificate is yet to be obtained.
    awaited: HashSet<String>,
}

/// Certificates of one name, of which a client gets the first that it can verify.
#[derive(Debug, Clone, Default)]
struct Choice {
    ecdsa: Option<Candidate>,
    ed25519: Option<Candidate>,
    rsa: Option<Candidate>,
}

#[derive(Debug, Clone)]
struct Candidate {
    key: Arc<CertifiedKey>,
    served: Arc<ServedCertificate>,
}

impl Store {
    /// Reads all pairs; `now` is in seconds since 1970. What is obtained and cannot be read is what it was in
    /// `former`.
    pub(super) fn load(
        params: &AcceptorParams,
        provider: &CryptoProvider,
        now: i64,
        former: Option<&Self>,
    ) -> Result<Self, Invalid> {
        let pairs = pairs::found(params)?;
        let candidates = pairs
            .iter()
            .map(|(cert, key)| Candidate::read(cert, key, provider));
        let mut candidates: Vec<Candidate> = candidates.collect::<Result<_, _>>()?;
        let obtained = params.obtained.as_ref().and_then(|awaited| {
            let read = Candidate::read(&awaited.file, &awaited.file, provider);
            read.ok().or_else(|| former?.obtained.clone())
        });
        candidates.extend(obtained.clone());
        let mut store = Self::of(candidates, params.strict, now);
        let names = params.obtained.iter().flat_map(|awaited| &awaited.names);
        let awaited = names.filter(|name| store.by_name.find(name).is_none());
        store.awaited = awaited.cloned().collect();
        store.obtained = obtained;
        Ok(store)
    }

    fn of(candidates: Vec<Candidate>, strict: bool, now: i64) -> Self {
        let mut by_name: Names<Choice> = Names::default();
        for candidate in &candidates {
            for name in &candidate.served.names {
                by_name.of(name).add(candidate, now);
            }
        }
        // The first pair, and what stands for the same name under other algorithms.
        let mut default = Choice::default();
        if let Some(first) = candidates.first() {
            if let Some(name) = first.served.names.first() {
                default = by_name.of(name).clone();
            }
            default.add(first, now);
        }
        Self {
            by_name,
            default,
            strict,
            served: candidates.into_iter().map(|one| one.served).collect(),
            obtained: None,
            awaited: HashSet::new(),
        }
    }

    /// All certificates, in the order of their files.
    pub(super) fn served(&self) -> &[Arc<ServedCertificate>] {
        &self.served
    }

    /// Whether what this name would be shown is yet to be obtained. It is as [`normal`] makes it.
    pub(super) fn awaits(&self, name: Option<&str>) -> bool {
        self.served.is_empty() || name.is_some_and(|name| self.awaited.contains(name))
    }

    /// Whether clients are refused that ask for this name. It is as [`normal`] makes it.
    pub(super) fn refuses(&self, name: Option<&str>) -> bool {
        self.strict && name.and_then(|name| self.by_name.find(name)).is_none()
    }

    /// What is shown to who asks for this name and can verify these signatures.
    pub(super) fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut named = name.into_iter().flat_map(|name| self.by_name.fitting(name));
        match named.next() {
            None => self.default.for_client(schemes),
            Some(best) => std::iter::once(best)
                .chain(named)
                .find_map(|choice| choice.for_client(schemes)),
        }
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(normal);
        self.choose(name.as_deref(), hello.signature_schemes())
    }
}

impl Candidate {
    fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<Self, Invalid> {
        let pair = pem::pair(cert, key, provider);
        let pair = pair.map_err(|bad| Invalid::pair(cert, key, bad))?;
        let leaf = pair.cert.first().map(|leaf| &leaf[..]);
        let served = ServedCertificate::read(cert, leaf.unwrap_or_default());
        let served = served.map_err(|what| {
            let bad = Bad::new(cert, what, "have the authority issue it anew");
            Invalid::new(InvalidPart::Certificate, cert, bad)
        })?;
        Ok(Self {
            key: Arc::new(pair),
            served: Arc::new(served),
        })
    }
}

impl Choice {
    /// Takes the candidate unless there is one of its algorithm that is valid and for longer.
    fn add(&mut self, candidate: &Candidate, now: i64) {
        let place = match candidate.key.key.algorithm() {
            SignatureAlgorithm::ECDSA => &mut self.ecdsa,
            SignatureAlgorithm::ED25519 => &mut self.ed25519,
            _ => &mut self.rsa,
        };
        let worth = |one: &Candidate| (one.served.is_valid(now), one.served.not_after);
        if place
            .as_ref()
            .is_none_or(|former| worth(former) < worth(candidate))
        {
            *place = Some(candidate.clone());
        }
    }

    fn for_client(&self, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let all = [&self.ecdsa, &self.ed25519, &self.rsa];
        let mut keys = all.into_iter().flatten().map(|one| &one.key);
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        keys.find(fits).cloned()
    }
}
