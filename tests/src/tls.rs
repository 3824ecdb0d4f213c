//! Callers that speak TLS to a proxy: whom they trust, who they are, and how a handshake went for them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderValue, Request, Version};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Pair, Validity, place};
use crate::client::{Body, Error};
use crate::config::Config;
use crate::promise::expect;

/// The host that callers ask for.
pub const NAME: &str = "web.test";

/// A request for it that is the last one of its connection.
pub const GET: &str = "GET / HTTP/1.1\r\nhost: web.test\r\nconnection: close\r\n\r\n";

/// The lines of a sidecar's entry in front of `to` whose certificate is `web.pem` of this folder; `more` stands in
/// the map of TLS settings.
pub fn entry(to: &str, folder: &Path, more: &str) -> String {
    let folder = folder.display();
    format!("to: {to}\ntls: {{cert: {folder}/web.pem, key: {folder}/web.key{more}}}")
}

/// A sidecar's file with one such entry, `web`.
pub fn settings(to: &str, folder: &Path, more: &str) -> Config {
    Config::of_sidecar(&entry(to, folder, more))
}

/// An authority, and a folder with `web.pem` and `web.key` that it issued for [`NAME`], and `clients.pem`, which is
/// itself.
pub fn issued() -> (Authority, tempfile::TempDir) {
    let authority = Authority::new("the test's");
    let folder = tempfile::tempdir().expect("a folder");
    authority
        .issue(&[NAME], Validity::Now)
        .write(folder.path(), "web");
    place(folder.path(), "clients.pem", &authority.pem());
    (authority, folder)
}

/// How to call.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Whom it trusts.
    pub authority: &'a Authority,
    /// Its own certificate.
    pub own: Option<&'a Pair>,
    /// What it offers to speak inside.
    pub alpn: &'a [&'a str],
    /// The versions that it speaks.
    pub versions: &'static [&'static SupportedProtocolVersion],
}

impl<'a> Caller<'a> {
    /// One without a certificate that speaks both versions of TLS, and HTTP/1.1 without saying so.
    pub fn trusting(authority: &'a Authority) -> Self {
        Self {
            authority,
            own: None,
            alpn: &[],
            versions: rustls::ALL_VERSIONS,
        }
    }

    /// The same for each version of TLS, 1.3 first.
    pub fn each_version(self) -> impl Iterator<Item = Self> {
        rustls::ALL_VERSIONS.iter().map(move |version| Self {
            versions: std::slice::from_ref(version),
            ..self
        })
    }

    /// What rustls makes connections with; it keeps the tickets that it gets. Whoever connects with it anew offers
    /// them again, to whomever: a ticket is not asked where it comes from.
    pub fn config(&self) -> Arc<ClientConfig> {
        let certificate =
            |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(certificate(&self.authority.pem()))
            .expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match self.own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config.resumption = Resumption::store(Arc::new(AnyHost::default()));
        Arc::new(config)
    }
}

/// Keeps sessions of all hosts as if they were one.
#[derive(Debug)]
struct AnyHost(ClientSessionMemoryCache);

impl Default for AnyHost {
    fn default() -> Self {
        Self(ClientSessionMemoryCache::new(8))
    }
}

fn any() -> ServerName<'static> {
    ServerName::try_from("any.test").expect("a name")
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

/// Connects and shakes hands. With TLS 1.3 a caller does not know yet whether its own certificate is taken.
///
/// # Errors
///
/// When nobody listens or the handshake fails.
pub async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    expect("a handshake", connector.connect(name, tcp)).await
}

/// What a connection came to on which one request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// An answer, of this status.
    Answered {
        /// Its status.
        status: u16,
        /// Whether the session of an earlier connection went on.
        resumed: bool,
    },
    /// An alert.
    Alerted(AlertDescription),
    /// Anything else.
    Failed(String),
}

/// Sends these bytes, and returns all that is answered up to the end of the connection.
///
/// # Errors
///
/// As the connection fails.
pub async fn exchange(stream: &mut TlsStream<TcpStream>, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    expect("an answer", stream.read_to_string(&mut answer)).await?;
    Ok(answer)
}

/// Calls once over HTTP/1.1 and takes the answer to its end, so that tickets have come too.
pub async fn meet(address: SocketAddr, config: &Arc<ClientConfig>) -> Met {
    let met = async {
        let mut stream = connect(address, config).await?;
        let answer = exchange(&mut stream, GET).await?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok(Met::Answered {
            status: status.unwrap_or(0),
            resumed: stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    };
    met.await.unwrap_or_else(|error: std::io::Error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => Met::Alerted(*alert),
            _ => Met::Failed(error.to_string()),
        }
    })
}

/// The status of one request on a connection of its own, and the body.
///
/// # Errors
///
/// When the exchange fails at any point.
pub async fn fetch(
    address: SocketAddr,
    caller: &Caller<'_>,
    mut request: Request<Body>,
) -> Result<(u16, String), Error> {
    let stream = TokioIo::new(connect(address, &caller.config()).await?);
    let response = if caller.alpn == ["h2"] {
        *request.uri_mut() = format!("https://{NAME}{}", request.uri().path()).parse()?;
        *request.version_mut() = Version::HTTP_2;
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        expect("an answer", sender.send_request(request)).await?
    } else {
        request
            .headers_mut()
            .insert("host", HeaderValue::from_static(NAME));
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        expect("an answer", sender.send_request(request)).await?
    };
    let status = response.status().as_u16();
    let body = expect("a body", response.into_body().collect()).await?;
    Ok((status, String::from_utf8(body.to_bytes().to_vec())?))
}
