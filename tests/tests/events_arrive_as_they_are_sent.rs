//! Server-sent events: each reaches the client before the next one is sent, over every pair of protocols, with TLS or
//! without, and no timeout of requests ends a stream that has begun.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use remora_tests::certificates::{Authority, Validity};
use remora_tests::client::{Body, Error, channel, get, once};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, hang};
use remora_tests::promise::{expect, promise};
use remora_tests::proxy::Proxy;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

type Events = mpsc::Sender<Result<Frame<Bytes>, Error>>;

/// An upstream whose streams the test feeds, each from the end that comes out of the receiver.
fn origin() -> (Origin, mpsc::UnboundedReceiver<Events>) {
    let (streams, begun) = mpsc::unbounded_channel();
    let origin = Origin::start(move |request| {
        let streams = streams.clone();
        async move {
            if request.uri().path() == "/hang" {
                return hang().await;
            }
            let (events, body) = channel();
            let _ = streams.send(events);
            let mut response = Response::new(body);
            let kind = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert("content-type", kind);
            response
        }
    });
    (origin, begun)
}

/// Opens a stream over either version of HTTP. What it returns besides keeps the connection open.
async fn open<T>(io: T, is_http2: bool) -> (Incoming, Box<dyn Any + Send>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request: Request<Body> = get("http://web.test/events");
    let accept = HeaderValue::from_static("gzip, br");
    request.headers_mut().insert("accept-encoding", accept);
    let io = TokioIo::new(io);
    let (answer, kept): (_, Box<dyn Any + Send>) = if is_http2 {
        *request.version_mut() = Version::HTTP_2;
        let (mut sender, driver) = http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("HTTP/2");
        tokio::spawn(driver);
        let answer = expect("an answer", sender.send_request(request)).await;
        (answer, Box::new(sender))
    } else {
        let host = HeaderValue::from_static("web.test");
        request.headers_mut().insert("host", host);
        let (mut sender, driver) = http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(driver);
        let answer = expect("an answer", sender.send_request(request)).await;
        (answer, Box::new(sender))
    };
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200);
    (answer.into_body(), kept)
}

/// Sends events one by one, each when the one before has come, and then ends the stream.
async fn each_arrives(events: Events, mut body: Incoming) {
    for number in 0..20 {
        arrives(&events, &mut body, number).await;
    }
    drop(events);
    ends(body).await;
}

async fn ends(body: Incoming) {
    let rest = expect("the end", body.collect())
        .await
        .expect("an orderly end");
    assert!(rest.to_bytes().is_empty());
}

async fn arrives(events: &Events, body: &mut Incoming, number: usize) {
    let event = format!("id: {number}\ndata: {{}}\n\n");
    events
        .send(Ok(Frame::data(event.clone().into())))
        .await
        .expect("a reader");
    let mut seen = Vec::new();
    while seen.len() < event.len() {
        let frame = expect("an event", body.frame()).await.expect("no end yet");
        seen.extend_from_slice(&frame.expect("no failure").into_data().expect("data"));
    }
    assert_eq!(String::from_utf8_lossy(&seen), event);
}

async fn connect(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).await.expect("a connection");
    tcp.set_nodelay(true).expect("an option");
    tcp
}

#[test]
fn over_every_pair_of_protocols() {
    promise(async {
        let (origin, mut begun) = origin();
        for scheme in ["http", "h2c"] {
            let config = Config::of_sidecar(&format!("to: {scheme}://{}", origin.address()));
            let sidecar = Proxy::start(&config).await;
            for is_http2 in [false, true] {
                let (body, _kept) = open(connect(sidecar.address()).await, is_http2).await;
                let events = begun.recv().await.expect("a stream");
                each_arrives(events, body).await;
            }
        }
    });
}

#[test]
fn inside_tls() {
    promise(async {
        let (origin, mut begun) = origin();
        let authority = Authority::new("the test's");
        let folder = tempfile::tempdir().expect("a folder");
        authority
            .issue(&["web.test"], Validity::Now)
            .write(folder.path(), "web");
        let path = folder.path().display();
        let tls = format!("tls: {{cert: {path}/web.pem, key: {path}/web.key}}");
        let config = Config::of_sidecar(&format!("to: http://{}\n{tls}", origin.address()));
        let sidecar = Proxy::start(&config).await;
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        for is_http2 in [false, true] {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let mut caller = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            let alpn: &[u8] = if is_http2 { b"h2" } else { b"http/1.1" };
            caller.alpn_protocols = vec![alpn.to_vec()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(caller));
            let name = ServerName::try_from("web.test").expect("a name");
            let tcp = connect(sidecar.address()).await;
            let stream = connector.connect(name, tcp).await.expect("TLS");
            let (body, _kept) = open(stream, is_http2).await;
            let events = begun.recv().await.expect("a stream");
            each_arrives(events, body).await;
        }
    });
}

/// `timeout.request` and `timeout.try` are over when the head has come.
#[test]
fn the_timeouts_of_requests_end_no_stream_that_has_begun() {
    promise(async {
        let (origin, mut begun) = origin();
        let settings = format!(
            "to: http://{}\ntimeout: {{request: 300ms, try: 300ms}}\nretry: off",
            origin.address()
        );
        let sidecar = Proxy::start(&Config::of_sidecar(&settings)).await;
        let (mut body, _kept) = open(connect(sidecar.address()).await, false).await;
        let events = begun.recv().await.expect("a stream");
        for number in 0..3 {
            arrives(&events, &mut body, number).await;
            // As long as it takes until a request is given up that began now.
            let late = once(sidecar.address(), get("/hang"))
                .await
                .expect("an answer");
            assert_eq!(late.proxy_error(), "http_response_timeout");
        }
        arrives(&events, &mut body, 3).await;
        drop(events);
        ends(body).await;
    });
}
