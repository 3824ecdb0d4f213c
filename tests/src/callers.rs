//! Callers in TLS: whom they trust, what they ask for, and who they are.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, Request, Version, header};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Pair};
use crate::client::{Body, Error, Reply};
use crate::promise::expect;

/// A caller of one host.
#[derive(Clone, Debug)]
pub struct Caller {
    roots: RootCertStore,
    host: String,
    own: Option<Pair>,
    alpn: Vec<Vec<u8>>,
}

impl Caller {
    /// Asks for `host`, trusts this authority, has no certificate and offers no protocol.
    ///
    /// # Panics
    ///
    /// When the authority's certificate is none.
    pub fn trusting(authority: &Authority, host: &str) -> Self {
        Self::trusting_root(&authority.pem(), host)
    }

    /// The same with the certificate of an authority, in PEM.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn trusting_root(root: &str, host: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(root)).expect("a root");
        Self {
            roots,
            host: host.to_owned(),
            own: None,
            alpn: Vec::new(),
        }
    }

    /// The same with a certificate.
    pub fn bearing(mut self, own: &Pair) -> Self {
        self.own = Some(own.clone());
        self
    }

    /// The same with these protocols offered by ALPN.
    pub fn offering(mut self, alpn: &[&str]) -> Self {
        self.alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// When nobody listens, or either side refuses the other.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from(self.host.clone()).expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.config()));
        expect("the handshake", connector.connect(name, tcp)).await
    }

    /// The whole answer to one request on a connection of its own.
    ///
    /// # Errors
    ///
    /// When the exchange fails at any point.
    pub async fn fetch(
        &self,
        address: SocketAddr,
        mut request: Request<Body>,
    ) -> Result<Reply, Error> {
        let stream = self.connect(address).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        let answer = if is_http2 {
            let uri = format!("https://{}{}", self.host, request.uri().path());
            *request.uri_mut() = uri.parse()?;
            *request.version_mut() = Version::HTTP_2;
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            expect("an answer", sender.send_request(request)).await?
        } else {
            let host = HeaderValue::from_str(&self.host)?;
            request.headers_mut().insert(header::HOST, host);
            let (mut sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection);
            expect("an answer", sender.send_request(request)).await?
        };
        Reply::read(answer).await
    }

    fn config(&self) -> rustls::ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
                let chain = vec![certificate(&own.cert)];
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.alpn_protocols = self.alpn.clone();
        config
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}
