//! Upstreams of `https` and `tls`: both versions of HTTP, who is trusted, who we are, and files that are swapped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use http::Version;
use remora_tests::ambassador::{Ambassador, run_in};
use remora_tests::certificates::{Authority, Pair, Validity, place};
use remora_tests::client::{Connection, Protocol, get, once, post};
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::lines::says;
use remora_tests::load::Load;
use remora_tests::needs;
use remora_tests::origin::{Origin, echo, ok};
use remora_tests::promise::{promise, until};
use remora_tests::scripted::{ephemeral, refusing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BOTH: &[&str] = &["h2", "http/1.1"];

/// A folder with the authority's certificate in `ca.pem`.
fn folder(authority: &Authority) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    place(folder.path(), "ca.pem", &authority.pem());
    folder
}

fn settings(address: SocketAddr, folder: &Path, more: &str) -> String {
    let ca = folder.join("ca.pem");
    format!("to: https://{address}\ntls: {{ca: {}{more}}}", ca.display())
}

#[test]
fn the_endpoint_chooses_the_version_of_http() {
    promise(async {
        let authority = Authority::new("the test's");
        let pair = authority.issue(&["127.0.0.1"], Validity::Now);
        let folder = folder(&authority);
        for (offered, taken) in [
            (BOTH, Version::HTTP_2),
            (&["http/1.1"], Version::HTTP_11),
            (&[], Version::HTTP_11),
        ] {
            let origin = Origin::secured(pair.server(offered, None), |request| async {
                echo(request)
            });
            let settings = settings(origin.address(), folder.path(), "");
            let ambassador = Ambassador::serving(&settings).await;
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let mut connection = Connection::open(ambassador.address(), protocol)
                    .await
                    .expect("open");
                for body in ["small", &"large".repeat(100_000)] {
                    let request = post("/echo", body.to_owned());
                    let reply = connection.fetch(request).await.expect("an answer");
                    assert_eq!((reply.status.as_u16(), reply.text() == body), (200, true));
                }
            }
            let requests = origin.requests();
            assert!(requests.iter().all(|request| request.version == taken));
            if taken == Version::HTTP_2 {
                assert_eq!(requests[0].uri.scheme_str(), Some("https"));
            }
        }
    });
}

#[test]
fn a_version_may_be_asked_for() {
    promise(async {
        let authority = Authority::new("the test's");
        let pair = authority.issue(&["127.0.0.1"], Validity::Now);
        let folder = folder(&authority);
        let origin = Origin::secured(pair.server(BOTH, None), |_| async { ok("fine") });
        for (alpn, taken) in [("h2", Version::HTTP_2), ("http/1.1", Version::HTTP_11)] {
            let settings = settings(
                origin.address(),
                folder.path(),
                &format!(", alpn: ['{alpn}']"),
            );
            let ambassador = Ambassador::serving(&settings).await;
            let reply = once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
            assert_eq!(reply.status, 200);
            let last = origin.requests().pop().expect("a request");
            assert_eq!(last.version, taken);
        }
    });
}

/// What comes of a request to an upstream that presents `pair`.
async fn refused(pair: &Pair, authority: &Authority, more: &str) -> (u16, String, String) {
    let origin = Origin::secured(pair.server(BOTH, None), |_| async { ok("fine") });
    let folder = folder(authority);
    let settings = settings(origin.address(), folder.path(), more);
    let ambassador = Ambassador::serving(&settings).await;
    let reply = once(ambassador.address(), get("/why"))
        .await
        .expect("an answer");
    let reason = if reply.status == 200 {
        String::new()
    } else {
        reply.proxy_error().to_owned()
    };
    (reply.status.as_u16(), reason, reply.text())
}

#[test]
fn a_certificate_that_is_not_accepted_is_told() {
    promise(async {
        let (ours, other) = (Authority::new("ours"), Authority::new("another"));
        for (pair, said) in [
            (
                other.issue(&["127.0.0.1"], Validity::Now),
                "no trusted authority has issued it",
            ),
            (
                ours.issue(&["127.0.0.1"], Validity::Expired),
                "it has expired",
            ),
            (
                ours.issue(&["127.0.0.1"], Validity::Future),
                "it is not valid yet",
            ),
            (ours.issue(&["users.test"], Validity::Now), "not valid for"),
        ] {
            let (status, reason, text) = refused(&pair, &ours, "").await;
            assert_eq!((status, reason.as_str()), (502, "tls_certificate_error"));
            assert!(text.contains(said), "{text}");
        }
        let named = ours.issue(&["users.test"], Validity::Now);
        let (status, _, text) = refused(&named, &ours, ", name: users.test").await;
        assert_eq!((status, text.as_str()), (200, "fine"));
    });
}

#[test]
fn a_spiffe_id_stands_for_the_name() {
    promise(async {
        let authority = Authority::new("a trust domain");
        let id = "spiffe://cluster.test/ns/default/sa/users";
        let good = authority.issue(&[id], Validity::Now);
        let spiffe = format!(", spiffe: '{id}'");
        let (status, ..) = refused(&good, &authority, &spiffe).await;
        assert_eq!(status, 200);
        let bad = ["spiffe://cluster.test/ns/default/sa/other", "127.0.0.1"];
        for name in bad {
            let pair = authority.issue(&[name], Validity::Now);
            let (status, reason, text) = refused(&pair, &authority, &spiffe).await;
            assert_eq!((status, reason.as_str()), (502, "tls_certificate_error"));
            assert!(text.contains("is expected"), "{text}");
        }
        let two = authority.issue(&[id, "spiffe://cluster.test/two"], Validity::Now);
        let (status, ..) = refused(&two, &authority, &spiffe).await;
        assert_eq!(status, 502, "a certificate bears one SPIFFE ID");
        let foreign = Authority::new("another").issue(&[id], Validity::Now);
        let (status, ..) = refused(&foreign, &authority, &spiffe).await;
        assert_eq!(status, 502);
    });
}

#[test]
fn an_upstream_without_tls_is_told() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = folder(&authority);
        let plain = Origin::start(|_| async { ok("fine") });
        let settings = settings(plain.address(), folder.path(), "");
        let ambassador = Ambassador::serving(&settings).await;
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (502, "tls_protocol_error")
        );
        assert!(
            reply.text().contains("does not speak TLS"),
            "{}",
            reply.text()
        );
    });
}

#[test]
fn what_finds_no_connection_is_sent_elsewhere_whatever_is_spoken() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = folder(&authority);
        let ca = folder.path().join("ca.pem");
        let pair = authority.issue(&["127.0.0.1"], Validity::Now);
        let good = Origin::secured(pair.server(BOTH, None), |_| async { ok("fine") });
        let (refused, _held) = refusing();
        let plain = Origin::start(|_| async { ok("fine") });
        for bad in [refused, plain.address()] {
            for alpn in ["h2, http/1.1", "h2", "http/1.1"] {
                let settings = format!(
                    "to: ['https://{}', 'https://{bad}']\ntls: {{ca: {}, alpn: [{alpn}]}}\n\
                     balance: round-robin\neject: off\nretry: {{budget: 100%}}",
                    good.address(),
                    ca.display()
                );
                let ambassador = Ambassador::serving(&settings).await;
                for request in [get("/"), get("/"), post("/", "small"), post("/", "small")] {
                    let reply = once(ambassador.address(), request).await;
                    let reply = reply.expect("an answer");
                    assert_eq!(reply.status, 200, "{bad} {alpn}: {}", reply.text());
                }
            }
        }
    });
}

/// A real nginx that takes only clients with a certificate of `clients`.
async fn nginx(
    folder: &Path,
    server: &Pair,
    clients: &Authority,
) -> (tokio::process::Child, SocketAddr) {
    let (cert, key) = server.write(folder, "server");
    let ca = place(folder, "clients.pem", &clients.pem());
    let (path, address) = (folder.display(), ephemeral_free());
    let configuration = format!(
        "daemon off; master_process off; pid {path}/pid; events {{}} http {{ access_log off;
         client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
         uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
         server {{ listen {address} ssl http2; ssl_certificate {}; ssl_certificate_key {};
         ssl_client_certificate {}; ssl_verify_client on;
         location / {{ return 200 \"$ssl_client_verify $server_protocol\"; }} }} }}",
        cert.display(),
        key.display(),
        ca.display()
    );
    let file = place(folder, "nginx.conf", &configuration);
    let mut command = tokio::process::Command::new(needs::find("nginx").expect("nginx"));
    command.args(["-e", "stderr", "-c"]).arg(file);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.kill_on_drop(true).spawn().expect("nginx starts");
    until("nginx to listen", async || {
        tokio::net::TcpStream::connect(address).await.ok()
    })
    .await;
    (child, address)
}

/// A port that was free a moment ago: nginx has to bind it itself.
fn ephemeral_free() -> SocketAddr {
    let listener = std::net::TcpListener::bind(ephemeral()).expect("a port");
    listener.local_addr().expect("bound")
}

#[test]
fn a_real_nginx_that_wants_a_certificate_gets_one() {
    if !needs::met(&[("nginx", "nginx")], false) {
        return;
    }
    promise(async {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let folder = folder(&servers);
        let server = servers.issue(&["127.0.0.1"], Validity::Now);
        let (_nginx, address) = nginx(folder.path(), &server, &clients).await;
        let (cert, key) = clients
            .issue(&["ambassador.test"], Validity::Now)
            .write(folder.path(), "client");
        let own = format!(", cert: {}, key: {}", cert.display(), key.display());
        for (alpn, protocol) in [("h2", "HTTP/2.0"), ("http/1.1", "HTTP/1.1")] {
            let more = format!("{own}, alpn: ['{alpn}']");
            let ambassador = Ambassador::serving(&settings(address, folder.path(), &more)).await;
            let reply = once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
            assert_eq!(reply.text(), format!("SUCCESS {protocol}"));
        }
        // Without one nginx answers 400, which is an answer like any other.
        let ambassador = Ambassador::serving(&settings(address, folder.path(), "")).await;
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(reply.status, 400);
    });
}

#[test]
fn an_upstream_that_refuses_our_certificate_is_told() {
    promise(async {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let folder = folder(&servers);
        let server = servers.issue(&["127.0.0.1"], Validity::Now);
        let tls = server.server(BOTH, Some(&clients));
        let origin = Origin::secured(tls, |_| async { ok("fine") });
        for alpn in ["h2", "http/1.1"] {
            let more = format!(", alpn: ['{alpn}']");
            let config = settings(origin.address(), folder.path(), &more);
            let ambassador = Ambassador::serving(&config).await;
            let reply = once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
            assert_eq!(
                (reply.status.as_u16(), reply.proxy_error()),
                (502, "tls_alert_received"),
                "{}",
                reply.text()
            );
            assert!(
                reply.text().contains("CertificateRequired"),
                "{}",
                reply.text()
            );
        }
    });
}

#[test]
fn certificates_swapped_under_load_lose_nothing() {
    promise(async {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let folder = folder(&servers);
        let server = servers.issue(&["127.0.0.1"], Validity::Now);
        let tls = server.server(&["http/1.1"], Some(&clients));
        // Connections that carry one request each, so that there are handshakes all the time.
        let origin = Origin::secured(tls, |_| async {
            let mut response = ok("fine");
            let close = http::HeaderValue::from_static("close");
            response
                .headers_mut()
                .insert(http::header::CONNECTION, close);
            response
        });
        let client = || clients.issue(&["ambassador.test"], Validity::Now);
        let (cert, key) = client().write(folder.path(), "client");
        let more = format!(", cert: {}, key: {}", cert.display(), key.display());
        let settings = settings(origin.address(), folder.path(), &more);
        let ambassador = Ambassador::serving(&settings).await;
        let load = Load::start(ambassador.address(), 200, |_| get("/load"));
        for round in 1..=5 {
            // Between the two writes the pair does not match: the former one stays in use.
            client().write(folder.path(), "client");
            let told = |line: &serde_json::Value| {
                let message = line["message"].as_str();
                message.is_some_and(|text| text.starts_with("TLS files"))
            };
            ambassador
                .log
                .find_all("word of the files", round, told)
                .await;
            load.done_more(20).await;
        }
        // A new authority on both sides, which trusts the old one for a while.
        let next = Authority::new("servers, next");
        let reloaded = |line: &serde_json::Value| says(line, "TLS files reloaded");
        let before = ambassador
            .log
            .all()
            .iter()
            .filter(|line| reloaded(line))
            .count();
        let both = format!("{}{}", servers.pem(), next.pem());
        place(folder.path(), "ca.pem", &both);
        let log = &ambassador.log;
        log.find_all("the new authority", before + 1, reloaded)
            .await;
        let renewed = next.issue(&["127.0.0.1"], Validity::Now);
        origin.present(renewed.server(&["http/1.1"], Some(&clients)));
        load.done_more(50).await;
        load.stop().await.assert_none_failed();
        assert!(origin.connections() > 100, "handshakes went on");
    });
}

#[test]
fn raw_bytes_travel_inside_tls() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = folder(&authority);
        let pair = authority.issue(&["db.test"], Validity::Now);
        let acceptor = tokio_rustls::TlsAcceptor::from(pair.server(&[], None));
        let listener = tokio::net::TcpListener::bind(ephemeral())
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.expect("a connection");
            let mut tls = acceptor.accept(tcp).await.expect("a handshake");
            let name = tls.get_ref().1.server_name().map(str::to_owned);
            let mut said = Vec::new();
            tls.read_to_end(&mut said).await.expect("a clean end");
            tls.write_all(&said).await.expect("written");
            tls.shutdown().await.expect("ended");
            (name, said.len())
        });
        let dns = Dns::start().await;
        dns.set(
            "db.test",
            Answer::Addresses(vec![[127, 0, 0, 1].into()], 60),
        );
        let ca = folder.path().join("ca.pem");
        let settings = format!(
            "to: tls://db.test:{}\ntls: {{ca: {}}}",
            address.port(),
            ca.display()
        );
        let config = Config::of(&settings).with(&dns.setting());
        let ambassador = Ambassador::start(&config).await;
        let mut stream = tokio::net::TcpStream::connect(ambassador.address())
            .await
            .expect("open");
        let sent = vec![7; 300_000];
        stream.write_all(&sent).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.expect("read");
        assert_eq!(back.len(), sent.len());
        assert_eq!(
            server.await.expect("served"),
            (Some("db.test".into()), sent.len())
        );
    });
}

#[test]
fn health_checks_go_through_tls() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = folder(&authority);
        let pair = authority.issue(&["127.0.0.1"], Validity::Now);
        let origin = Origin::secured(pair.server(BOTH, None), |_| async { ok("fine") });
        let health = "\nhealth: {path: /healthz, every: 50ms}";
        let settings = settings(origin.address(), folder.path(), "") + health;
        let ambassador = Ambassador::serving(&settings).await;
        ambassador
            .metric("remora_health_checks_total", &[("result", "ok")], |count| {
                count > 1.0
            })
            .await;
    });
}

#[test]
fn files_that_cannot_be_used_are_told_with_their_place() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = folder(&authority);
        let path = folder.path();
        let (one, two) = (
            authority.issue(&["a.test"], Validity::Now),
            authority.issue(&["b.test"], Validity::Now),
        );
        one.write(path, "one");
        two.write(path, "two");
        place(path, "empty.pem", "nothing\n");
        for (tls, place, said) in [
            ("{ca: none.pem}", "1:79", "cannot read none.pem"),
            ("{ca: empty.pem}", "1:79", "holds no certificate"),
            (
                "{cert: one.pem, key: two.key}",
                "1:95",
                "not that of the certificate in one.pem",
            ),
            (
                "{cert: one.pem, key: one.pem}",
                "1:95",
                "holds no private key",
            ),
        ] {
            let text = format!(
                "ambassador: {{users: {{listen: 'localhost:9000', to: 'https://users', tls: {tls}}}}}\n"
            );
            std::fs::write(path.join("remora.yaml"), text).expect("a file");
            let output = run_in(path, &["check", "-c", "remora.yaml"]).await;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.contains(said), "{text}");
            assert!(text.contains(place), "{place} in {text}");
        }
    });
}
