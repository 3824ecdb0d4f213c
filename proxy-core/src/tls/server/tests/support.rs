//! Certificates, servers and clients for the tests beside.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    SignatureAlgorithm,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, Error, NamedGroup, SignatureScheme,
    SupportedCipherSuite,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::tls::{Accepted, Acceptor, Refused};

pub(super) const LIMIT: Duration = Duration::from_secs(20);

pub(super) type Ca = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority(name: &str) -> Ca {
    authority_with(name, |_| {})
}

pub(super) fn authority_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) cert: String,
    pub(super) key: String,
}

pub(super) fn issue(ca: &Ca, names: &[&str]) -> Pair {
    issue_with(ca, names, &rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
}

pub(super) fn issue_with(
    ca: &Ca,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> Pair {
    let mut params = CertificateParams::default();
    let names = names
        .iter()
        .map(|name| SanType::DnsName((*name).try_into().unwrap()));
    params.subject_alt_names = names.collect();
    change(&mut params);
    let key = KeyPair::generate_for(algorithm).unwrap();
    let cert = params.signed_by(&key, ca).unwrap();
    Pair {
        cert: cert.pem(),
        key: key.serialize_pem(),
    }
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key`.
    pub(super) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let cert = place(folder, &format!("{name}.crt"), &self.cert);
        let key = place(folder, &format!("{name}.key"), &self.key);
        (cert, key)
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

pub(super) fn place(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// Takes any certificate, and remembers nothing: what is shown is looked at afterwards.
#[derive(Debug)]
pub(super) struct Anything(pub(super) Vec<SignatureScheme>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let algorithms = provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let algorithms = provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// What a client is.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) schemes: Vec<SignatureScheme>,
    pub(super) pair: Option<(Vec<CertificateDer<'static>>, String)>,
    pub(super) versions: &'static [&'static rustls::SupportedProtocolVersion],
    pub(super) alpn: Vec<Vec<u8>>,
}

impl Default for Client {
    fn default() -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Self {
            schemes: provider
                .signature_verification_algorithms
                .supported_schemes(),
            pair: None,
            versions: rustls::ALL_VERSIONS,
            alpn: Vec::new(),
        }
    }
}

impl Client {
    pub(super) fn with(pair: &Pair) -> Self {
        Self {
            pair: Some((vec![pair.der()], pair.key.clone())),
            ..Self::default()
        }
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.config_of(rustls::crypto::aws_lc_rs::default_provider())
    }

    /// With these ciphers alone, the preferred one first.
    pub(super) fn offering(&self, ciphers: &[CipherSuite]) -> Arc<ClientConfig> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let place = |suite: &SupportedCipherSuite| ciphers.iter().position(|c| *c == suite.suite());
        provider
            .cipher_suites
            .retain(|suite| place(suite).is_some());
        provider.cipher_suites.sort_by_key(place);
        self.config_of(provider)
    }

    fn config_of(&self, provider: CryptoProvider) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything(self.schemes.clone())));
        let mut config = match &self.pair {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.clone(), key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.clone();
        config.resumption = Resumption::in_memory_sessions(64);
        Arc::new(config)
    }
}

/// Keeps the sessions of all hosts as if they were one, and so offers each host the tickets of every other.
#[derive(Debug)]
pub(super) struct AnyHost(ClientSessionMemoryCache);

impl AnyHost {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(ClientSessionMemoryCache::new(8)))
    }
}

fn any() -> ServerName<'static> {
    ServerName::try_from("any.example").unwrap()
}

impl ClientSessionStore for AnyHost {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(name)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.set_tls12_session(any(), session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&any())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&any());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, session: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(any(), session);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&any())
    }
}

/// What a client saw of a connection on which the server said a word.
pub(super) struct Seen {
    pub(super) shown: CertificateDer<'static>,
    pub(super) resumed: bool,
}

/// Both ends of one connection.
pub(super) async fn meet(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (Result<Accepted, Refused>, Result<Seen, std::io::Error>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut accepted = acceptor.accept(tcp, LIMIT).await?;
        accepted.stream.write_all(b"welcome").await.unwrap();
        accepted.stream.shutdown().await.unwrap();
        Ok(accepted)
    };
    tokio::join!(serve, visit(address, client, name))
}

pub(super) async fn visit(
    address: std::net::SocketAddr,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<Seen, std::io::Error> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(client));
    let mut tls = connector.connect(name, tcp).await?;
    let mut word = Vec::new();
    tls.read_to_end(&mut word).await?;
    assert_eq!(word, b"welcome");
    let session = tls.get_ref().1;
    Ok(Seen {
        shown: session.peer_certificates().unwrap()[0].clone().into_owned(),
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    })
}
