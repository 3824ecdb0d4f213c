//! HTTP inside TLS, from a client's socket to a service and back.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::service_fn;

use super::serve_tls;
use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::http::ServerParams;
use crate::lifecycle::Phase;
use crate::net::{Connections, Secured};
use crate::telemetry::{EntryCounters, HandshakeResult};
use crate::tls::{Acceptor, AcceptorParams};

const NAME: &str = "a.example.com";

struct Server {
    address: std::net::SocketAddr,
    counters: Arc<EntryCounters>,
    connections: Arc<Connections>,
    root: CertificateDer<'static>,
    /// Told of each connection that was served to its end.
    ended: mpsc::UnboundedReceiver<()>,
    _folder: tempfile::TempDir,
}

/// Answers by the path: with a body, without its end, or with what was sent.
async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    assert!(request.extensions().get::<Arc<Secured>>().is_some());
    let version = request.version();
    let body = match request.uri().path() {
        "/cut" => {
            let fault = Fault::maybe_seen(Reason::ConnectionTerminated, "cut");
            let frames = [Ok(Frame::data(Bytes::from("half"))), Err(fault)];
            Body::boxed(StreamBody::new(futures_util::stream::iter(frames)))
        }
        "/echo" => request.into_body(),
        "/large" => Body::full(vec![7_u8; 3_000_000]),
        _ => Body::full(format!("{version:?}")),
    };
    Ok(Response::new(body))
}

async fn server(head: Duration) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    let file = folder.path().join("tls.pem");
    std::fs::write(&file, cert.pem() + &key.serialize_pem()).unwrap();
    let acceptor = Acceptor::new(AcceptorParams {
        folders: vec![folder.path().to_owned()],
        ..Default::default()
    });
    let acceptor = Arc::new(acceptor.unwrap());
    let counters: Arc<EntryCounters> = Arc::default();
    let connections = Connections::new(Arc::clone(&counters));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, ended) = mpsc::unbounded_channel();
    let book = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((tcp, peer)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            let connection = book.open(peer);
            let (acceptor, tell) = (Arc::clone(&acceptor), tell.clone());
            tokio::spawn(async move {
                let params = ServerParams {
                    idle: None,
                    head,
                    max_headers: 65536,
                    keep_case: false,
                };
                serve_tls(tcp, &acceptor, connection, service_fn(answer), &params).await;
                let _ = tell.send(());
            });
        }
    });
    Server {
        address,
        counters,
        connections,
        root: cert.der().clone(),
        ended,
        _folder: folder,
    }
}

impl Server {
    async fn connect(&self, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(NAME).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// Sends a text and reads to the end of the connection.
    async fn exchange(&self, request: &str) -> (Vec<u8>, std::io::Result<usize>) {
        let mut tls = self.connect(&[b"http/1.1"]).await.unwrap();
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let end = tls.read_to_end(&mut all).await;
        (all, end)
    }
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("https://{NAME}{path}");
    Request::get(uri)
        .header("host", NAME)
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn alpn_decides_and_without_it_the_first_bytes_do() {
    let server = server(Duration::from_secs(20)).await;
    for alpn in [&[b"http/1.1".as_slice()][..], &[]] {
        let tls = server.connect(alpn).await.unwrap();
        let io = TokioIo::new(tls);
        let (mut send, served) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(served);
        for _ in 0..3 {
            let answer = send.send_request(get("/")).await.unwrap();
            let body = answer.collect().await.unwrap().to_bytes();
            assert_eq!(body, "HTTP/1.1");
        }
    }
    for alpn in [&[b"h2".as_slice(), b"http/1.1"][..], &[]] {
        let tls = server.connect(alpn).await.unwrap();
        let io = TokioIo::new(tls);
        let executor = TokioExecutor::new();
        let (mut send, served) = hyper::client::conn::http2::handshake(executor, io)
            .await
            .unwrap();
        tokio::spawn(served);
        for _ in 0..3 {
            let answer = send.send_request(get("/")).await.unwrap();
            assert_eq!(answer.version(), Version::HTTP_2);
            let body = answer.collect().await.unwrap().to_bytes();
            assert_eq!(body, "HTTP/2.0");
        }
    }
    assert_eq!(server.counters.handshakes.of(HandshakeResult::Full), 4);
}

#[tokio::test]
async fn bodies_pass_whole_in_both_directions() {
    let server = server(Duration::from_secs(20)).await;
    let sent: Bytes = (0..2_000_000_u32).map(|n| n as u8).collect();
    let upload = || {
        let request = Request::post(format!("https://{NAME}/echo")).header("host", NAME);
        request.body(Full::new(sent.clone())).unwrap()
    };
    let io = TokioIo::new(server.connect(&[b"http/1.1"]).await.unwrap());
    let (mut send, served) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(served);
    let answer = send.send_request(upload()).await.unwrap();
    assert_eq!(answer.collect().await.unwrap().to_bytes(), sent);
    let io = TokioIo::new(server.connect(&[b"h2"]).await.unwrap());
    let executor = TokioExecutor::new();
    let (mut send, served) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(served);
    let answer = send.send_request(upload()).await.unwrap();
    assert_eq!(answer.collect().await.unwrap().to_bytes(), sent);
    let (all, end) = server
        .exchange("GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(all.ends_with(&[7; 1000]) && all.len() > 3_000_000);
    end.unwrap();
}

#[tokio::test]
async fn a_cut_body_never_looks_complete() {
    let server = server(Duration::from_secs(20)).await;
    // An HTTP/1.0 client knows the end of this body by the end of the connection alone.
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let request = format!("GET /cut {version}\r\nhost: a\r\n\r\n");
        let (all, end) = server.exchange(&request).await;
        assert!(end.is_err(), "{version}: {end:?}, {}", all.escape_ascii());
        assert!(!all.ends_with(b"0\r\n\r\n"));
    }
    let io = TokioIo::new(server.connect(&[b"h2"]).await.unwrap());
    let executor = TokioExecutor::new();
    let (mut send, served) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(served);
    // The reset may overtake the head.
    if let Ok(answer) = send.send_request(get("/cut")).await {
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.collect().await.is_err());
    }
}

#[tokio::test]
async fn a_truncated_upload_is_not_taken_for_a_whole_one() {
    let mut server = server(Duration::from_secs(20)).await;
    let mut tls = server.connect(&[b"http/1.1"]).await.unwrap();
    let request = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
    tls.write_all(request).await.unwrap();
    let mut head = [0; 17];
    tls.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK\r\n");
    // The connection ends without a close_notify.
    let (tcp, _) = tls.get_mut();
    tcp.shutdown().await.unwrap();
    server.ended.recv().await.unwrap();
    let mut rest = Vec::new();
    let end = tls.read_to_end(&mut rest).await;
    assert!(end.is_err() || !rest.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_drain_closes_idle_connections_in_order() {
    let mut server = server(Duration::from_secs(20)).await;
    let mut tls = server.connect(&[b"http/1.1"]).await.unwrap();
    tls.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    tls.read_exact(&mut first).await.unwrap();
    // One that has not spoken yet.
    let mut quiet = server.connect(&[]).await.unwrap();
    while server.counters.handshakes.of(HandshakeResult::Full) < 2 {
        tokio::task::yield_now().await;
    }
    server.connections.advance(Phase::Draining);
    server.connections.advance(Phase::Closing);
    let mut rest = Vec::new();
    tls.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"HTTP/1.1"));
    quiet.read_to_end(&mut rest).await.unwrap();
    server.ended.recv().await.unwrap();
    server.ended.recv().await.unwrap();
}

#[tokio::test]
async fn handshakes_that_fail_are_counted_by_reason() {
    let mut server = server(Duration::from_millis(200)).await;
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    server.ended.recv().await.unwrap();
    let silent = TcpStream::connect(server.address).await.unwrap();
    server.ended.recv().await.unwrap();
    drop(silent);
    drop(TcpStream::connect(server.address).await.unwrap());
    server.ended.recv().await.unwrap();
    assert!(server.connect(&[b"ftp"]).await.is_err());
    server.ended.recv().await.unwrap();
    // A client that does not trust the certificate says so.
    server.root = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    };
    assert!(server.connect(&[]).await.is_err());
    server.ended.recv().await.unwrap();
    for result in [
        HandshakeResult::Protocol,
        HandshakeResult::Timeout,
        HandshakeResult::Closed,
        HandshakeResult::NoSharedProtocol,
        HandshakeResult::Alert,
    ] {
        assert_eq!(
            server.counters.handshakes.of(result),
            1,
            "{}",
            result.token()
        );
    }
}

#[tokio::test]
async fn a_small_response_is_one_record() {
    let server = server(Duration::from_secs(20)).await;
    let mut tls = server.connect(&[b"http/1.1"]).await.unwrap();
    for _ in 0..3 {
        tls.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut all = Vec::new();
        let mut reads = 0;
        while !all.ends_with(b"HTTP/1.1") || reads == 0 {
            let mut some = [0; 4096];
            let read = tls.read(&mut some).await.unwrap();
            all.extend_from_slice(&some[..read]);
            reads += 1;
        }
        // A read returns one decrypted record at the most.
        assert_eq!(reads, 1, "{}", all.escape_ascii());
    }
}

/// Counts the reads that found something: as many as records.
struct Counting<T>(T, Arc<AtomicUsize>);

impl<T: AsyncRead + Unpin> AsyncRead for Counting<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        if read.is_ready() {
            self.1.fetch_add(1, Relaxed);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counting<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_small_response_of_http2_is_one_record() {
    let server = server(Duration::from_secs(20)).await;
    let tls = server.connect(&[b"h2"]).await.unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let io = TokioIo::new(Counting(tls, Arc::clone(&reads)));
    let executor = TokioExecutor::new();
    let connected = hyper::client::conn::http2::handshake(executor, io).await;
    let (mut send, served) = connected.unwrap();
    tokio::spawn(served);
    for _ in 0..20 {
        let answer = send.send_request(get("/")).await.unwrap();
        answer.collect().await.unwrap();
    }
    let reads = reads.load(Relaxed);
    // Besides the responses: settings, their acknowledgement, and a window.
    assert!(reads <= 20 + 4, "{reads} records");
}

#[tokio::test]
async fn a_connection_s_task_is_hardly_larger_than_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    let file = folder.path().join("tls.pem");
    std::fs::write(&file, cert.pem() + &key.serialize_pem()).unwrap();
    let acceptor = Acceptor::new(AcceptorParams {
        pairs: vec![(file.clone(), file)],
        ..Default::default()
    });
    let acceptor = acceptor.unwrap();
    let connections = Connections::new(Arc::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let params = ServerParams {
        idle: None,
        head: Duration::from_secs(1),
        max_headers: 65536,
        keep_case: false,
    };
    let tcp = || TcpStream::connect(address);
    let (one, other) = (tcp().await.unwrap(), tcp().await.unwrap());
    let connection = || connections.open(address);
    let plain = crate::http::serve(one, connection(), service_fn(answer), &params);
    let plain = std::mem::size_of_val(&plain);
    let secured = serve_tls(other, &acceptor, connection(), service_fn(answer), &params);
    let secured = std::mem::size_of_val(&secured);
    assert!(
        secured <= plain + 256,
        "{secured} bytes, {plain} without TLS"
    );
}
