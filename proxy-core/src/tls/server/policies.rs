//! All that is read from files for one entry, as one value: certificates, and a configuration for each set of rules for clients.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use super::clients::Clients;
use super::invalid::{Invalid, InvalidPart};
use super::keys::{Keys, SharedKeys};
use super::names::{Names, is_pattern};
use super::params::{AcceptorParams, ClientPolicy, MinimumVersion, Tickets};
use super::store::Store;
use super::tickets::Ticketer;
use crate::net::PolicyId;
use crate::tls::pem::Bad;
use crate::tls::records::RECORD;

/// What handshakes are made with.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) store: Arc<Store>,
    default: Arc<Policy>,
    hosts: Names<Arc<Policy>>,
}

/// What handshakes are made with that are held to the same rules for clients.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) id: PolicyId,
    config: Arc<ServerConfig>,
    /// The same with ChaCha20 as the cipher that is preferred.
    without_aes: Arc<ServerConfig>,
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Policy {
    /// What a handshake is made with. Which cipher is used is decided here, but a client that would rather have
    /// ChaCha20 than AES has no hardware for AES, and is spared it.
    pub(super) fn config(&self, asked: &ClientHello<'_>) -> Arc<ServerConfig> {
        let known = &self.config.crypto_provider().cipher_suites;
        let mut offered = asked.cipher_suites().iter();
        let first = offered.find_map(|suite| known.iter().find(|known| known.suite() == *suite));
        Arc::clone(match first {
            Some(suite) if is_chacha(suite) => &self.without_aes,
            _ => &self.config,
        })
    }
}

fn is_chacha(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

impl Policies {
    /// Reads all files, apart from those of tickets. What is in `former` stands in for a certificate that is
    /// obtained while this runs.
    pub(super) fn load(
        params: &AcceptorParams,
        keys: Option<&Arc<Keys>>,
        former: Option<&Self>,
    ) -> Result<Self, Invalid> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let now = UnixTime::now().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let former = former.map(|former| &*former.store);
        let maker = Maker {
            params,
            keys,
            store: Arc::new(Store::load(params, &provider, now, former)?),
            provider,
        };
        let default = Arc::new(maker.policy(&params.clients)?);
        let mut hosts = Names::default();
        for (name, policy) in &params.hosts {
            let bad = |what: &str| Invalid {
                part: InvalidPart::Host,
                file: Default::default(),
                message: format!("`{name}` {what}"),
                help: "write a host's name, such as a.example.com or *.example.com, once",
            };
            if !is_pattern(name) {
                return Err(bad("is no name of a host"));
            }
            if !hosts.set(name, Arc::new(maker.policy(policy)?)) {
                return Err(bad("has rules already"));
            }
        }
        Ok(Self {
            store: maker.store,
            default,
            hosts,
        })
    }

    /// Whether there are others than those for all.
    pub(super) fn differ(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The rules for who asks for this name, which is as [`normal`](super::names::normal) makes it.
    pub(super) fn of(&self, name: Option<&str>) -> &Arc<Policy> {
        let own = name.and_then(|name| self.hosts.covering(name));
        own.unwrap_or(&self.default)
    }
}

struct Maker<'a> {
    params: &'a AcceptorParams,
    keys: Option<&'a Arc<Keys>>,
    store: Arc<Store>,
    provider: Arc<CryptoProvider>,
}

impl Maker<'_> {
    fn policy(&self, clients: &ClientPolicy) -> Result<Policy, Invalid> {
        let clients = Clients::load(clients, &self.provider)?;
        let mut without_aes = CryptoProvider::clone(&self.provider);
        // Stable: otherwise the order stays.
        let suites = &mut without_aes.cipher_suites;
        suites.sort_by_key(|suite| !is_chacha(suite));
        Ok(Policy {
            id: clients.id,
            config: self.config(&self.provider, &clients)?,
            without_aes: self.config(&Arc::new(without_aes), &clients)?,
            verifier: clients.verifier,
        })
    }

    fn config(
        &self,
        provider: &Arc<CryptoProvider>,
        clients: &Clients,
    ) -> Result<Arc<ServerConfig>, Invalid> {
        let asked = clients.verifier.clone();
        let asked = asked.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(versions(self.params.minimum))
            .map_err(|error| Invalid {
                part: InvalidPart::Certificate,
                file: Default::default(),
                message: error.to_string(),
                help: "this is an error of this program",
            })?;
        let resolver = Arc::clone(&self.store);
        let mut config = builder
            .with_client_cert_verifier(asked)
            .with_cert_resolver(resolver);
        config.alpn_protocols = self.params.alpn.clone();
        config.ignore_client_order = true;
        config.max_fragment_size = Some(RECORD);
        // Nothing is kept of sessions here: tickets are the only way to resume one.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Some(keys) = self.keys {
            let ticketer = Ticketer::new(Arc::clone(keys), clients.context);
            config.ticketer = Arc::new(ticketer);
        }
        Ok(Arc::new(config))
    }
}

/// The keys of tickets, as they are at the start; none where there are no tickets.
pub(super) fn keys(tickets: &Tickets) -> Result<Option<Keys>, Invalid> {
    match tickets {
        Tickets::Off => Ok(None),
        Tickets::Shared(file) => Ok(Some(Keys::shared(SharedKeys::load(file)?))),
        Tickets::Rotated(period) => rotated(*period).map(Some),
    }
}

fn rotated(period: Duration) -> Result<Keys, Invalid> {
    Keys::rotated(period, UnixTime::now().as_secs()).ok_or_else(|| {
        let bad = Bad {
            message: "no random bytes for the keys of tickets".to_owned(),
            help: "turn tickets off, or let this process read random bytes",
        };
        Invalid::new(InvalidPart::Tickets, "".as_ref(), bad)
    })
}

fn versions(minimum: MinimumVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ALL: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    static LATEST: &[&SupportedProtocolVersion] = &[&TLS13];
    match minimum {
        MinimumVersion::Tls12 => ALL,
        MinimumVersion::Tls13 => LATEST,
    }
}
