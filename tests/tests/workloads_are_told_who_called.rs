//! The sidecar tells the workload who called, and believes only whom it is told to trust.

use http::HeaderMap;
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::wire::Wire;

/// A request that says of its caller whatever it can.
const SPOOFED: &str = "GET / HTTP/1.1\r\nHost: web.test:8443\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: admin\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 192.0.2.1\r\n\
    X_Forwarded_For: 192.0.2.3\r\nForwarded: for=192.0.2.1;proto=https\r\n\
    Connection: x-forwarded-for, x-forwarded-proto, forwarded, close\r\n\r\n";

/// What the workload gets of the spoofed request through an entry with these further lines.
async fn told(settings: &str) -> HeaderMap {
    let origin = Origin::start(|_| async { ok("fine") });
    let config = Config::of_sidecar(&format!("to: http://{}\n{settings}", origin.address()));
    let sidecar = Proxy::start(&config).await;
    let mut wire = Wire::connect(sidecar.address()).await;
    wire.send(SPOOFED).await.expect("sent");
    let head = wire.head().await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    origin.received(1).await.remove(0).headers
}

/// The fields that say who called, sorted.
fn claims(headers: &HeaderMap) -> Vec<String> {
    let claims = headers.iter().filter(|(name, _)| {
        let name = name.as_str().replace('_', "-");
        name.starts_with("x-forwarded") || name == "forwarded" || name == "x-real-ip"
    });
    let shown = claims.map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")));
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

#[test]
fn a_stranger_is_not_believed() {
    promise(async {
        for settings in ["", "forwarded: {trust: [10.0.0.0/8, '::1']}"] {
            assert_eq!(
                claims(&told(settings).await),
                [
                    "x-forwarded-for: 127.0.0.1",
                    "x-forwarded-host: web.test:8443",
                    "x-forwarded-proto: http"
                ]
            );
        }
        assert_eq!(
            claims(&told("forwarded: {fields: [forwarded]}").await),
            ["forwarded: for=127.0.0.1;host=\"web.test:8443\";proto=http"]
        );
    });
}

#[test]
fn a_trusted_peer_is_added_to_and_cannot_be_silenced() {
    promise(async {
        let settings = "forwarded: {trust: [127.0.0.0/8], fields: [x-forwarded, forwarded]}";
        assert_eq!(
            claims(&told(settings).await),
            [
                "forwarded: for=192.0.2.1;proto=https, for=127.0.0.1;host=\"web.test:8443\";proto=http",
                "x-forwarded-for: 192.0.2.1, 192.0.2.2, 127.0.0.1",
                "x-forwarded-host: admin",
                "x-forwarded-port: 443",
                "x-forwarded-proto: https",
                "x-real-ip: 192.0.2.1",
            ]
        );
    });
}

#[test]
fn off_passes_on_what_came() {
    promise(async {
        let headers = told("forwarded: off").await;
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 2);
        assert_eq!(headers["x-forwarded-host"], "admin");
    });
}

#[test]
fn over_http2_and_in_copies_it_is_the_same() {
    promise(async {
        let [origin, copies] = [0, 1].map(|_| Origin::start(|_| async { ok("fine") }));
        let config = Config::of_sidecar(&format!(
            "to: h2c://{}\nmirror: {{to: 'http://{}'}}",
            origin.address(),
            copies.address()
        ));
        let sidecar = Proxy::start(&config).await;
        let mut connection = Connection::open(sidecar.address(), Protocol::Http2)
            .await
            .expect("open");
        let mut request = get("/");
        request
            .headers_mut()
            .insert("x-forwarded-for", "192.0.2.1".parse().expect("a value"));
        connection.fetch(request).await.expect("an answer");
        for origin in [&origin, &copies] {
            let headers = origin.received(1).await.remove(0).headers;
            assert_eq!(
                claims(&headers),
                [
                    "x-forwarded-for: 127.0.0.1",
                    "x-forwarded-host: users.test",
                    "x-forwarded-proto: http"
                ]
            );
        }
    });
}
