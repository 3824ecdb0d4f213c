//! A sidecar speaks TLS to callers: both versions of HTTP, certificates of clients that the workload is
//! told and nobody can make up, files that are swapped under load, and errors that name the file.

use std::path::Path;
use std::sync::Arc;

use http::{HeaderValue, Request, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use remora_tests::certificates::{Authority, Pair, Validity, place};
use remora_tests::client::{Body, get};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const NAME: &str = "web.test";

/// Callers that trust an authority and may have a certificate of their own.
fn caller(authority: &Authority, own: Option<&Pair>, alpn: &[&str]) -> rustls::ClientConfig {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(&authority.pem())).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            builder
                .with_client_auth_cert(vec![certificate(&pair.cert)], key)
                .expect("a pair")
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn connect(
    sidecar: &Proxy,
    caller: rustls::ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(sidecar.address()).await?;
    let name = ServerName::try_from(NAME).expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(caller));
    connector.connect(name, tcp).await
}

/// The status of one request on a connection of its own, and the body.
async fn fetch(
    sidecar: &Proxy,
    caller: rustls::ClientConfig,
    mut request: Request<Body>,
) -> Result<(u16, String), Box<dyn std::error::Error + Send + Sync>> {
    let is_http2 = caller.alpn_protocols == [b"h2".to_vec()];
    let stream = TokioIo::new(connect(sidecar, caller).await?);
    let response = if is_http2 {
        *request.uri_mut() = format!("https://{NAME}{}", request.uri().path()).parse()?;
        *request.version_mut() = Version::HTTP_2;
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        request
            .headers_mut()
            .insert("host", HeaderValue::from_static(NAME));
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await?;
    Ok((status, String::from_utf8(body.to_bytes().to_vec())?))
}

fn settings(origin: &Origin, folder: &Path, more: &str) -> Config {
    let folder = folder.display();
    Config::of_sidecar(&format!(
        "to: http://{}\ntls: {{cert: {folder}/web.pem, key: {folder}/web.key{more}}}",
        origin.address()
    ))
}

/// An authority, and a folder with what it issued to the sidecar.
fn issued() -> (Authority, tempfile::TempDir) {
    let authority = Authority::new("the test's");
    let folder = tempfile::tempdir().expect("a folder");
    authority
        .issue(&[NAME], Validity::Now)
        .write(folder.path(), "web");
    place(folder.path(), "clients.pem", &authority.pem());
    (authority, folder)
}

#[test]
fn both_versions_of_http_and_nobodys_word_of_a_certificate() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let sidecar = Proxy::start(&settings(&origin, folder.path(), "")).await;
        for alpn in [&["h2"][..], &["http/1.1"], &[]] {
            let mut request = get("/");
            let own = HeaderValue::from_static(":bWFkZSB1cA==:");
            request.headers_mut().insert("client-cert", own);
            let reply = fetch(&sidecar, caller(&authority, None, alpn), request).await;
            assert_eq!(reply.expect("an answer"), (200, "fine".to_owned()));
        }
        for request in origin.received(3).await {
            assert_eq!(request.headers["x-forwarded-proto"], "https");
            assert_eq!(request.headers["host"], NAME);
            assert!(!request.headers.contains_key("client-cert"));
        }
        let metrics = sidecar.metrics().await;
        let full = [("entry", "web"), ("result", "full")];
        assert_eq!(metrics.sum("remora_tls_handshakes_total", &full), 3.0);
        let expiry = "remora_tls_certificate_expiry_timestamp_seconds";
        assert!(metrics.sum(expiry, &[("entry", "web")]) > 1.7e9);
    });
}

#[test]
fn a_client_needs_a_certificate_where_that_is_asked() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let more = format!(", client-ca: {}/clients.pem", folder.path().display());
        let sidecar = Proxy::start(&settings(&origin, folder.path(), &more)).await;
        let good = authority.issue(&["ann"], Validity::Now);
        let expired = authority.issue(&["ann"], Validity::Expired);
        let foreign = Authority::new("another's").issue(&["ann"], Validity::Now);
        for (own, result) in [
            (None, "no-certificate"),
            (Some(&expired), "expired"),
            (Some(&foreign), "unknown-ca"),
        ] {
            let refused = fetch(&sidecar, caller(&authority, own, &[]), get("/")).await;
            assert!(refused.is_err(), "{result}");
            let labels = [("entry", "web"), ("result", result)];
            let name = "remora_tls_handshakes_total";
            sidecar.metric(name, &labels, |value| value == 1.0).await;
        }
        assert_eq!(origin.count(), 0);
        let reply = fetch(&sidecar, caller(&authority, Some(&good), &[]), get("/")).await;
        assert_eq!(reply.expect("an answer").0, 200);
        let told = &origin.received(1).await[0].headers["client-cert"];
        assert!(
            told.to_str().is_ok_and(|told| told.starts_with(":MII")),
            "{told:?}"
        );
    });
}

#[test]
fn certificates_are_swapped_under_load() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let sidecar = Proxy::start(&settings(&origin, folder.path(), "")).await;
        let shown = async || {
            let stream = connect(&sidecar, caller(&authority, None, &[]))
                .await
                .expect("TLS");
            let shown = stream
                .get_ref()
                .1
                .peer_certificates()
                .expect("a certificate");
            shown[0].to_vec()
        };
        for _ in 0..10 {
            let before = shown().await;
            authority
                .issue(&[NAME], Validity::Now)
                .write(folder.path(), "web");
            until("another certificate", async || {
                let reply = fetch(&sidecar, caller(&authority, None, &[]), get("/")).await;
                assert_eq!(reply.expect("an answer").0, 200);
                (shown().await != before).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn bytes_travel_inside_tls_too() {
    promise(async {
        let (authority, folder) = issued();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = [0; 5];
                let _ = stream.read_exact(&mut heard).await;
                let _ = stream.write_all(&heard).await;
            }
        });
        let path = folder.path().display();
        let config = Config::of_sidecar(&format!(
            "to: tcp://{address}\ntls: {{cert: {path}/web.pem, key: {path}/web.key}}"
        ));
        let sidecar = Proxy::start(&config).await;
        let mut stream = connect(&sidecar, caller(&authority, None, &[]))
            .await
            .expect("TLS");
        stream.write_all(b"hello").await.expect("it takes bytes");
        let mut heard = String::new();
        stream
            .read_to_string(&mut heard)
            .await
            .expect("a clean end");
        assert_eq!(heard, "hello");
    });
}
