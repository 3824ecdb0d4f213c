//! Shakes hands with clients, with what the files hold at the time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::HandshakeKind;
use rustls::pki_types::UnixTime;
use rustls::server::ServerConnection;
use tokio::net::TcpStream;
use tokio_rustls::{StartHandshake, TlsStream};

use super::certificate::ServedCertificate;
#[cfg(feature = "acme")]
use super::challenged;
use super::expiry::Expiry;
use super::hello::Hello;
use super::invalid::Invalid;
use super::keys::{Keys, SharedKeys};
use super::names::normal;
use super::params::{AcceptorParams, Obtained, Tickets};
use super::policies::{self, Policies, Policy};
use super::refused::Refused;
use super::turned::{Turned, within};
use super::validity::learned_in;
use crate::net::Secured;
use crate::telemetry::HandshakeResult;
use crate::tls::follow::Prints;
use crate::tls::records::BATCH;

/// Makes TLS of the connections of clients, for one entry.
#[derive(Debug)]
pub struct Acceptor {
    params: AcceptorParams,
    current: ArcSwap<Policies>,
    keys: Option<Arc<Keys>>,
    /// What the files held when they were read first.
    first: Prints,
    /// Why what the files hold now is not in use.
    rejected: ArcSwapOption<String>,
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub struct Accepted {
    /// The bytes inside.
    pub stream: Box<TlsStream<TcpStream>>,
    /// What the handshake has settled.
    pub secured: Arc<Secured>,
}

impl Accepted {
    /// What it is counted as.
    pub fn result(&self) -> HandshakeResult {
        match self.secured.resumed {
            true => HandshakeResult::Resumed,
            false => HandshakeResult::Full,
        }
    }
}

impl Acceptor {
    /// Reads the files.
    pub fn new(params: AcceptorParams) -> Result<Self, Invalid> {
        params.obtained.as_ref().map_or(Ok(()), Obtained::check)?;
        let first = params.sources().prints();
        let keys = policies::keys(&params.tickets)?.map(Arc::new);
        let policies = Policies::load(&params, keys.as_ref(), None)?;
        Ok(Self {
            current: ArcSwap::from_pointee(policies),
            params,
            keys,
            first,
            rejected: ArcSwapOption::empty(),
        })
    }

    /// What it was made of.
    pub fn params(&self) -> &AcceptorParams {
        &self.params
    }

    /// The certificates in use, in the order of their files.
    pub fn certificates(&self) -> Vec<Arc<ServedCertificate>> {
        let mut all = self.current.load().store.served().to_vec();
        let mut seen = HashSet::new();
        // A file that is named and lies in a folder, too, is there twice.
        all.retain(|certificate| seen.insert(certificate.file.clone()));
        all
    }

    /// Why what the files hold now is not in use; none where it is.
    pub fn rejected(&self) -> Option<Arc<String>> {
        self.rejected.load_full()
    }

    /// Reads the files anew. All or nothing: on an error everything stays as it is.
    pub fn reload(&self) -> Result<(), Invalid> {
        let read = self.read();
        let why = read
            .as_ref()
            .err()
            .map(|invalid| Arc::new(invalid.to_string()));
        self.rejected.store(why);
        read
    }

    fn read(&self) -> Result<(), Invalid> {
        let shared = match &self.params.tickets {
            Tickets::Shared(file) => Some(SharedKeys::load(file)?),
            _ => None,
        };
        let former = self.current.load();
        let policies = Policies::load(&self.params, self.keys.as_ref(), Some(&former))?;
        if let (Some(keys), Some(shared)) = (&self.keys, shared) {
            keys.replace(shared);
        }
        self.current.store(Arc::new(policies));
        Ok(())
    }

    /// Follows the files for as long as it is polled, and warns of certificates that are about to expire.
    pub async fn follow(&self, entry: &str) {
        let mut expiry = Expiry::default();
        let tick = || {
            let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
            let served = self.certificates();
            // Of what is obtained, whoever obtains it tells how that goes.
            let obtained = self.params.obtained.as_ref().map(|one| &one.file);
            let lasting = served.iter().filter(|one| Some(&one.file) != obtained);
            expiry.warn(entry, &lasting.cloned().collect::<Vec<_>>(), now);
            if expiry.has_begun(&served, now) {
                // What cannot be read now is told when the files change.
                let _ = self.reload();
            }
        };
        let sources = self.params.sources();
        let first = self.first.clone();
        sources.follow(entry, first, || self.reload(), tick).await;
    }

    /// Whether a request for `host` may come on a connection with these rules for client
    /// certificates. Where it may not, 421 sends the client to a connection of its own (RFC 9110,
    /// 15.5.20). Other authorities are other rules, also where a reload has brought them.
    pub fn permits<H: AsRef<str>>(&self, secured: &Secured, host: impl FnOnce() -> H) -> bool {
        let policies = self.current.load();
        // The host has to be looked at only where hosts differ.
        let name = policies.differ().then(|| normal(host().as_ref()));
        policies.of(name.as_deref()).id == secured.policy
    }

    /// Shakes hands within `limit`.
    pub async fn accept(&self, tcp: TcpStream, limit: Duration) -> Result<Accepted, Refused> {
        let shaken = async { self.shake(Hello::read_all(tcp).await?).await };
        within(limit, shaken).await
    }

    /// The same with a client whose first message was read.
    pub async fn accept_hello(&self, hello: Hello, limit: Duration) -> Result<Accepted, Refused> {
        within(limit, self.shake(hello)).await
    }

    async fn shake(&self, hello: Hello) -> Result<Accepted, Turned> {
        #[cfg(feature = "acme")]
        if challenged::is_challenge(&hello)
            && let Some(answers) = self.params.obtained.as_ref().and_then(Obtained::answers)
        {
            return Err(challenged::answer(hello, &answers).await);
        }
        let (name, policy, config) = {
            let policies = self.current.load();
            let name = hello.server_name();
            if policies.store.awaits(name) {
                return Err(hello.refuse_awaited());
            }
            if policies.store.refuses(name) {
                return Err(hello.refuse_name());
            }
            let asked = hello.accepted.client_hello();
            let chosen = policies.store.choose(name, asked.signature_schemes());
            if chosen.is_none() {
                return Err(hello.refuse_signatures());
            }
            let policy = policies.of(name);
            let config = policy.config(&asked);
            (name.map(Arc::from), Arc::clone(policy), config)
        };
        let start = StartHandshake::from_parts(hello.accepted, hello.tcp);
        // A ticket is opened as soon as there is a stream.
        let shaken = learned_in(async {
            let batches = |session: &mut ServerConnection| session.set_buffer_limit(Some(BATCH));
            start
                .into_stream_with(config, batches)
                .into_fallible()
                .await
        });
        let shaken = shaken.await;
        let stream = shaken.map_err(|(error, tcp)| Turned::told(Refused::of_io(&error), tcp))?;
        let secured = secured(stream.get_ref().1, name, &policy)?;
        Ok(Accepted {
            stream: Box::new(TlsStream::Server(stream)),
            secured: Arc::new(secured),
        })
    }
}

fn secured(
    session: &ServerConnection,
    server_name: Option<Arc<str>>,
    policy: &Policy,
) -> Result<Secured, Refused> {
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    let peer = session.peer_certificates().unwrap_or_default();
    if let (true, Some(verifier)) = (resumed, &policy.verifier) {
        // A ticket knows until when its client's certificate is valid; it need not be believed.
        let verified = match peer.split_first() {
            Some((leaf, chain)) => verifier
                .verify_client_cert(leaf, chain, UnixTime::now())
                .map(drop),
            None if verifier.client_auth_mandatory() => Err(rustls::Error::NoCertificatesPresented),
            None => Ok(()),
        };
        verified.map_err(|error| Refused::of_tls(&error))?;
    }
    Ok(Secured {
        server_name,
        alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        version: session.protocol_version(),
        cipher: session.negotiated_cipher_suite(),
        resumed,
        policy: policy.id,
        peer: peer
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect(),
    })
}
