//! One connection of a demo's caller: TLS to a host by its name, and the version of HTTP that was agreed on.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header::HOST};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Whom to speak to, and how.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where the proxy listens.
    pub target: SocketAddr,
    /// The name that is asked for.
    pub host: &'static str,
    /// The caller's TLS.
    pub tls: Arc<ClientConfig>,
}

/// What sends requests, one after another.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    host: &'static str,
    /// Whether its handshake took up the session of an earlier connection.
    pub is_resumed: bool,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    /// Connects and shakes hands.
    pub async fn open(way: &Way) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(way.target).await;
        let tcp = tcp.context("no connection")?;
        tcp.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(&way.tls));
        let name = ServerName::try_from(way.host)?;
        let tls = connector.connect(name, tcp).await;
        let tls = tls.context("the handshake failed")?;
        let session = tls.get_ref().1;
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let io = TokioIo::new(tls);
        let sender = if is_http2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(driver);
            Sender::Http2(sender)
        } else {
            let (sender, driver) = http1::handshake(io).await?;
            tokio::spawn(driver);
            Sender::Http1(sender)
        };
        Ok(Self {
            sender,
            host: way.host,
            is_resumed,
        })
    }

    /// Whether another request can be sent on it.
    pub async fn is_ready(&mut self) -> bool {
        let ready = match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await,
            Sender::Http2(sender) => sender.ready().await,
        };
        ready.is_ok()
    }

    /// Sends a GET, to which `decorate` may add, and returns the head of the answer.
    pub async fn get(
        &mut self,
        path: &str,
        decorate: impl FnOnce(&mut Request<Empty<Bytes>>),
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Empty::new());
        decorate(&mut request);
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                *request.uri_mut() = path.parse()?;
                let host = HeaderValue::from_static(self.host);
                request.headers_mut().insert(HOST, host);
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = format!("https://{}{path}", self.host).parse()?;
                *request.version_mut() = Version::HTTP_2;
                sender.send_request(request).await
            }
        };
        let answer = answer.context("no answer")?;
        if !answer.status().is_success() {
            let why = answer.headers().get("proxy-status");
            let why = why.map_or("from behind the proxy".into(), |why| {
                String::from_utf8_lossy(why.as_bytes())
            });
            bail!("status {}, {why}", answer.status());
        }
        Ok(answer)
    }
}

/// Whether a request failed before any of it was written, as its connection was closed in that moment.
pub fn is_unsent(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        let cause = cause.downcast_ref::<hyper::Error>();
        cause.is_some_and(hyper::Error::is_canceled)
    })
}
