//! Clients of the proxy over HTTP/1.1 and HTTP/2 without TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::promise::expect;

/// Whatever went wrong.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The one body type of these tests.
pub type Body = BoxBody<Bytes, Error>;

/// The authority that requests carry unless they name one.
pub const AUTHORITY: &str = "users.test";

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body whose frames come from the returned sender; it ends when the sender is dropped.
pub fn channel() -> (mpsc::Sender<Result<Frame<Bytes>, Error>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
    (sender, BodyExt::boxed(StreamBody::new(frames)))
}

/// A request without a body.
///
/// # Panics
///
/// When method or path are malformed.
pub fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(full(""))
        .expect("a well-formed request")
}

/// A GET.
pub fn get(path: &str) -> Request<Body> {
    request("GET", path)
}

/// The same with `localhost` for its authority, as an admin listener wants it.
pub fn own(mut request: Request<Body>) -> Request<Body> {
    let host = HeaderValue::from_static("localhost");
    request.headers_mut().insert(header::HOST, host);
    request
}

/// A POST of these bytes.
pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let mut request = request("POST", path);
    *request.body_mut() = full(body);
    request
}

/// How to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge.
    Http2,
}

/// One connection; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// When nobody listens or the handshake fails.
    pub async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let (sender, driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                let driver = tokio::spawn(async move {
                    let _ = connection.with_upgrades().await;
                });
                (Sender::Http1(sender), driver)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                let driver = tokio::spawn(async move {
                    let _ = connection.await;
                });
                (Sender::Http2(sender), driver)
            }
        };
        Ok(Self { sender, driver })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// What hyper says of it.
    pub async fn send(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>, Error> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                let host = HeaderValue::from_static(AUTHORITY);
                request.headers_mut().entry(header::HOST).or_insert(host);
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Sender::Http2(sender) => {
                if request.uri().authority().is_none() {
                    let path = request
                        .uri()
                        .path_and_query()
                        .map_or("/", |path| path.as_str());
                    *request.uri_mut() = format!("http://{AUTHORITY}{path}").parse::<Uri>()?;
                }
                *request.version_mut() = Version::HTTP_2;
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    ///
    /// What hyper says of it.
    pub async fn fetch(&mut self, request: Request<Body>) -> Result<Reply, Error> {
        Reply::read(expect("an answer", self.send(request)).await?).await
    }

    /// Begins a request over HTTP/2 and returns what will be its whole answer.
    ///
    /// # Errors
    ///
    /// When the connection is over or speaks HTTP/1.1.
    pub fn begin(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<impl Future<Output = Result<Reply, Error>> + use<>, Error> {
        let Sender::Http2(sender) = &mut self.sender else {
            return Err("one request at a time over HTTP/1.1".into());
        };
        name_authority(&mut request)?;
        let response = sender.send_request(request);
        Ok(async move { Reply::read(expect("an answer", response).await?).await })
    }

    /// Whether another request can be sent.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Waits until the connection is over.
    pub async fn closed(&mut self) {
        let _ = expect("the end of the connection", &mut self.driver).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Makes a request one of HTTP/2, whose target has an authority.
fn name_authority(request: &mut Request<Body>) -> Result<(), Error> {
    if request.uri().authority().is_none() {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("http://{AUTHORITY}{path}").parse::<Uri>()?;
    }
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// An answer, whole.
#[derive(Debug)]
pub struct Reply {
    /// Its version.
    pub version: Version,
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers; empty when there were none.
    pub trailers: HeaderMap,
}

impl Reply {
    /// Reads the rest of an answer.
    ///
    /// # Errors
    ///
    /// When the body is cut short.
    pub async fn read(response: Response<Incoming>) -> Result<Self, Error> {
        let (head, body) = response.into_parts();
        let collected = expect("the rest of a body", body.collect()).await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Self {
            version: head.version,
            status: head.status,
            headers: head.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field as text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The error type that `Proxy-Status` (RFC 9209) names; empty when it names none.
    pub fn proxy_error(&self) -> &str {
        let status = self.header("proxy-status");
        let parameters = status.split(';').map(str::trim);
        parameters
            .filter_map(|part| part.strip_prefix("error="))
            .next()
            .unwrap_or_default()
    }
}

/// Sends one request on a connection of its own over HTTP/1.1.
///
/// # Errors
///
/// When the exchange fails at any point.
pub async fn once(address: SocketAddr, request: Request<Body>) -> Result<Reply, Error> {
    Connection::open(address, Protocol::Http1)
        .await?
        .fetch(request)
        .await
}
