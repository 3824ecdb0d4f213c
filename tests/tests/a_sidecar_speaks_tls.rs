//! A sidecar speaks TLS to callers: both versions of HTTP, certificates of clients that the workload is
//! told and nobody can make up, files that are swapped under load, and errors that name the file.

use http::HeaderValue;
use remora_tests::certificates::{Authority, Validity};
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
use remora_tests::tls::{Caller, NAME, connect, fetch, issued, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn url(origin: &Origin) -> String {
    format!("http://{}", origin.address())
}

#[test]
fn both_versions_of_http_and_nobodys_word_of_a_certificate() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let sidecar = Proxy::start(&settings(&url(&origin), folder.path(), "")).await;
        for alpn in [&["h2"][..], &["http/1.1"], &[]] {
            let mut request = get("/");
            let own = HeaderValue::from_static(":bWFkZSB1cA==:");
            request.headers_mut().insert("client-cert", own);
            let caller = Caller {
                alpn,
                ..Caller::trusting(&authority)
            };
            let reply = fetch(sidecar.address(), &caller, request).await;
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
        let sidecar = Proxy::start(&settings(&url(&origin), folder.path(), &more)).await;
        let caller = Caller::trusting(&authority);
        let good = authority.issue(&["ann"], Validity::Now);
        let expired = authority.issue(&["ann"], Validity::Expired);
        let foreign = Authority::new("another's").issue(&["ann"], Validity::Now);
        for (own, result) in [
            (None, "no-certificate"),
            (Some(&expired), "expired"),
            (Some(&foreign), "unknown-ca"),
        ] {
            let caller = Caller { own, ..caller };
            let refused = fetch(sidecar.address(), &caller, get("/")).await;
            assert!(refused.is_err(), "{result}");
            let labels = [("entry", "web"), ("result", result)];
            let name = "remora_tls_handshakes_total";
            sidecar.metric(name, &labels, |value| value == 1.0).await;
        }
        assert_eq!(origin.count(), 0);
        let own = Some(&good);
        let reply = fetch(sidecar.address(), &Caller { own, ..caller }, get("/")).await;
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
        let sidecar = Proxy::start(&settings(&url(&origin), folder.path(), "")).await;
        let caller = Caller::trusting(&authority);
        let shown = async || {
            let stream = connect(sidecar.address(), &caller.config())
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
                let reply = fetch(sidecar.address(), &caller, get("/")).await;
                assert_eq!(reply.expect("an answer").0, 200);
                (shown().await != before).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn a_rotation_that_cannot_be_used_is_a_metric() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let sidecar = Proxy::start(&settings(&url(&origin), folder.path(), "")).await;
        let caller = Caller::trusting(&authority);
        let labels = [("entry", "web")];
        let success = async |wanted: f64| {
            let name = "remora_tls_reload_success";
            sidecar.metric(name, &labels, |value| value == wanted).await;
            let reply = fetch(sidecar.address(), &caller, get("/")).await;
            assert_eq!(reply.expect("an answer").0, 200);
        };
        success(1.0).await;
        std::fs::write(folder.path().join("web.key"), "no key").expect("written");
        success(0.0).await;
        authority
            .issue(&[NAME], Validity::Now)
            .write(folder.path(), "web");
        success(1.0).await;
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
        let config = settings(&format!("tcp://{address}"), folder.path(), "");
        let sidecar = Proxy::start(&config).await;
        let caller = Caller::trusting(&authority);
        let mut stream = connect(sidecar.address(), &caller.config())
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

/// What was let in by other rules does not stay.
#[test]
fn connections_from_before_there_was_tls_end() {
    promise(async {
        let (_authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let to = format!("http://{}", origin.address());
        let plain = Config::of_sidecar(&format!("to: {to}"));
        let sidecar = Proxy::start(&plain).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut connection = Connection::open(sidecar.address(), protocol)
                .await
                .expect("open");
            let reply = connection.fetch(get("/")).await.expect("an answer");
            assert_eq!(reply.text(), "fine");
            sidecar.rewrite(&settings(&to, folder.path(), "").text());
            assert!(sidecar.ask("POST", "/reload").await.status.is_success());
            connection.closed().await;
            sidecar.rewrite(&plain.text());
            assert!(sidecar.ask("POST", "/reload").await.status.is_success());
        }
    });
}
