//! One TLS port of an ingress serves many hosts: each with its certificate and its rules for those of clients, and
//! passes on unread what is not its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use futures_util::{SinkExt, StreamExt};
use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::client::get;
use remora_tests::config::Config;
use remora_tests::load::Load;
use remora_tests::needs;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{expect, promise, until};
use remora_tests::proxy::{INGRESS, Proxy, run_in};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

/// What curl says of a URL whose host leads to `address`.
async fn curl(address: SocketAddr, host: &str, ca: &Path, more: &[&str], path: &str) -> Output {
    let port = address.port();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--noproxy", "*", "--include"])
        .arg("--resolve")
        .arg(format!("{host}:{port}:{}", address.ip()))
        .arg("--cacert")
        .arg(ca)
        .args(more)
        .arg(format!("https://{host}:{port}{path}"))
        .kill_on_drop(true);
    expect("curl's end", command.output())
        .await
        .expect("curl runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A folder with what an authority issued for two sites, and the authority's own certificate.
fn issued() -> (Authority, tempfile::TempDir) {
    let authority = Authority::new("the test's");
    let folder = tempfile::tempdir().expect("a folder");
    for (file, names) in [("a", &["a.test"][..]), ("b", &["*.b.test"])] {
        authority
            .issue(names, Validity::Now)
            .write(folder.path(), file);
    }
    place(folder.path(), "ca.crt", &authority.pem());
    (authority, folder)
}

#[test]
fn each_host_has_its_certificate_and_its_route() {
    if !needs::met(&[("curl", "curl")], false) {
        return;
    }
    promise(async {
        let (_authority, folder) = issued();
        let ca = folder.path().join("ca.crt");
        let config = Config::of_ingress(&format!(
            "tls: {{folder: {}}}\nhsts: {{subdomains: true}}\n\
             routes: {{a.test: {{respond: {{status: 200, body: of-a}}}}, '*.b.test': {{respond: {{status: 200, body: of-b}}}}}}",
            folder.path().display()
        ));
        let ingress = Proxy::start(&config).await;
        for (host, body) in [("a.test", "of-a"), ("x.b.test", "of-b")] {
            for version in ["--http1.1", "--http2"] {
                let output = curl(ingress.address(), host, &ca, &[version], "/").await;
                let text = text(&output);
                assert!(output.status.success() && text.ends_with(body), "{text}");
                let hsts = "strict-transport-security: max-age=31536000; includesubdomains";
                assert!(text.to_lowercase().contains(hsts), "{text}");
            }
        }
        // A connection for one host may serve another that has the same rules.
        let host = ["-H", "Host: x.b.test"];
        let output = curl(ingress.address(), "a.test", &ca, &host, "/").await;
        assert!(text(&output).ends_with("of-b"), "{}", text(&output));
        // What no certificate is for is not shown one that is another's.
        let output = curl(ingress.address(), "c.test", &ca, &[], "/").await;
        assert!(!output.status.success(), "{}", text(&output));
        // Our own failures carry the field, too.
        let host = ["-H", "Host: other.test"];
        let text = text(&curl(ingress.address(), "a.test", &ca, &host, "/").await);
        assert!(
            text.contains(" 404") && text.contains("strict-transport"),
            "{text}"
        );
    });
}

/// Ways to ask for a host with other rules on a connection for `a.test`, and what they get.
const ELSEWHERE: [(&str, &str); 6] = [
    ("y.x.b.test", " 421"),
    ("X.B.test.:443", " 421"),
    ("x.b.test:x", " 400"),
    ("x.b.test:443x", " 400"),
    ("x.b.test:+1", " 400"),
    ("x.b.test:443:1", " 400"),
];

#[test]
fn rules_for_certificates_hold_for_the_host_that_is_asked_for() {
    if !needs::met(&[("curl", "curl")], false) {
        return;
    }
    promise(async {
        let (authority, folder) = issued();
        let ca = folder.path().join("ca.crt");
        let clients = Authority::new("clients");
        place(folder.path(), "clients.crt", &clients.pem());
        let (cert, key) = clients
            .issue(&["someone"], Validity::Now)
            .write(folder.path(), "someone");
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let _ = authority;
        let at = folder.path().display();
        let config = Config::of_ingress(&format!(
            "tls: {{cert: {at}/a.pem, key: {at}/a.key, folder: {at}, hosts: {{'*.b.test': {{client-ca: {at}/clients.crt}}}}}}\n\
             routes: {{'*': {{respond: {{status: 200, body: fine}}}}}}"
        ));
        let ingress = Proxy::start(&config).await;
        let own = ["--cert", cert.as_str(), "--key", key.as_str()];
        let ask = async |host: &str, more: &[&str]| {
            text(&curl(ingress.address(), host, &ca, more, "/").await)
        };
        assert!(ask("a.test", &[]).await.ends_with("fine"));
        assert!(ask("x.b.test", &own).await.ends_with("fine"));
        assert!(
            !ask("x.b.test", &[]).await.contains("fine"),
            "no certificate"
        );
        // Who came in by the door of another host is sent to the right one.
        for version in ["--http1.1", "--http2"] {
            let told = ask("a.test", &["-H", "Host: x.b.test", version]).await;
            assert!(
                told.contains(" 421") && told.contains("http_request_denied"),
                "{told}"
            );
        }
        // Nor does another way to write the host open it.
        for (host, status) in ELSEWHERE {
            for version in ["--http1.1", "--http2"] {
                let field = format!("Host: {host}");
                let told = ask("a.test", &["-H", &field, version]).await;
                assert!(
                    !told.contains("fine")
                        && (told.contains(status) || told.contains("PROTOCOL_ERROR")),
                    "{host}: {told}"
                );
            }
        }
        let labels = [("entry", "edge"), ("reason", "http_request_denied")];
        assert_eq!(
            ingress.metrics().await.sum("remora_faults_total", &labels),
            6.0
        );
    });
}

/// Where a request is sent, its `Host` if that is another one, and what is told of it.
const OFFLINE: [(&str, &str, &str); 11] = [
    (
        "x.y.b.test/",
        "",
        "{client_certificate: required, status: 200}",
    ),
    ("A.b.test/", "", "{client_certificate: none, status: 200}"),
    ("c.test/", "", "{client_certificate: optional, status: 200}"),
    ("e.test/", "", "{client_certificate: required, status: 200}"),
    ("d.test/", "", "{client_certificate: none, status: 200}"),
    (
        "d.test/",
        "a.b.test",
        "{client_certificate: none, status: 200}",
    ),
    ("d.test/", "c.test", DENIED),
    ("d.test/", "deep.test", DENIED),
    ("deep.test/", "", ELSEWHERE_BY_NAME),
    ("deep.test/..%2fx", "c.test", ELSEWHERE_BY_NAME),
    (
        "d.test/..%2fx",
        "",
        "{route: null, status: 400, reason: http_request_error}",
    ),
];
const ELSEWHERE_BY_NAME: &str = "{passthrough: true, upstream: edge/passthrough/deep.test}";
const DENIED: &str = "{route: null, status: 421, reason: http_request_denied}";

#[test]
fn what_a_host_would_ask_for_and_get_is_told_offline() {
    promise(async {
        let (_authority, folder) = issued();
        let at = folder.path().display();
        let file = format!(
            "ingress:\n  edge:\n    listen: :443\n    passthrough: {{deep.test: tcp://deep:1}}\n    routes: {{'*': {{respond: {{status: 200}}}}}}\n    \
             tls: {{cert: {at}/a.pem, key: {at}/a.key, hosts: {{\
             '*.b.test': {{client-ca: {at}/ca.crt}}, a.b.test: {{}}, c.test: {{client-ca: {at}/ca.crt, client: optional}}, e.test.: {{client-ca: {at}/ca.crt}}}}}}\n"
        );
        place(folder.path(), "remora.yaml", &file);
        let samples = OFFLINE.map(|(asked, host, told)| {
            let host = match host {
                "" => String::new(),
                host => format!(", headers: {{host: {host}}}"),
            };
            format!("- {{request: 'GET https://{asked}'{host}, expect: {told}}}\n")
        });
        place(folder.path(), "samples.yaml", &samples.concat());
        let arguments = ["check", "-c", "remora.yaml", "--samples", "samples.yaml"];
        let output = run_in(INGRESS, folder.path(), &arguments).await;
        assert!(output.status.success(), "{}", text(&output));
        place(
            folder.path(),
            "samples.yaml",
            &samples.concat().replace("optional", "none"),
        );
        let output = run_in(INGRESS, folder.path(), &arguments).await;
        assert!(
            text(&output).contains("samples.yaml:3:"),
            "{}",
            text(&output)
        );
    });
}

/// As browsers ask where one certificate is for both.
async fn assert_elsewhere_on_another_connection(address: SocketAddr, ca: &Path) {
    for version in ["--http1.1", "--http2"] {
        let other = ["-H", "Host: x.deep.test", version];
        let told = text(&curl(address, "a.test", ca, &other, "/").await);
        let is_told = told.contains(" 421") && told.contains("passed through");
        assert!(is_told, "{told}");
    }
}

#[test]
fn what_is_passed_through_is_not_decrypted() {
    if !needs::met(&[("curl", "curl")], false) {
        return;
    }
    promise(async {
        let (_authority, folder) = issued();
        let ca = folder.path().join("ca.crt");
        let inner = Authority::new("the upstream's own");
        let inner_ca = place(folder.path(), "inner.crt", &inner.pem());
        let pair = inner.issue(&["deep.test", "x.deep.test"], Validity::Now);
        let origin = Origin::secured(pair.server(&["h2", "http/1.1"], None), |_| async {
            ok("from inside")
        });
        let to = format!("tcp://{}", origin.address());
        for (more, is_terminated) in [
            (
                format!(
                    "tls: {{cert: {at}/a.pem, key: {at}/a.key}}\nroutes: {{a.test: {{respond: {{status: 200, body: of-a}}}}}}\n",
                    at = folder.path().display()
                ),
                true,
            ),
            (String::new(), false),
        ] {
            let config = Config::of_ingress(&format!(
                "{more}passthrough: {{deep.test: '{to}', '*.deep.test': '{to}'}}"
            ));
            let ingress = Proxy::start(&config).await;
            for host in ["deep.test", "x.deep.test"] {
                let output = curl(ingress.address(), host, &inner_ca, &["--http2"], "/").await;
                assert!(text(&output).ends_with("from inside"), "{}", text(&output));
            }
            let output = curl(ingress.address(), "a.test", &ca, &[], "/").await;
            let is_here = text(&output).ends_with("of-a");
            assert_eq!(is_here, is_terminated, "{}", text(&output));
            if is_terminated {
                assert_elsewhere_on_another_connection(ingress.address(), &ca).await;
            } else {
                assert!(
                    text(&output).contains("unrecognized name"),
                    "{}",
                    text(&output)
                );
                let labels = [("entry", "edge"), ("result", "unknown-name")];
                let metrics = ingress.metrics().await;
                assert_eq!(metrics.sum("remora_tls_handshakes_total", &labels), 1.0);
            }
            let line = ingress
                .access
                .find("a line of the passed connection", |line| {
                    line["entry"] == "edge/passthrough/deep.test"
                })
                .await;
            assert!(line["bytes_sent"].as_u64() > Some(0), "{line}");
        }
    });
}

#[test]
fn tunnels_and_requests_survive_a_hundred_reloads() {
    promise(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let chat = listener.local_addr().expect("a bound socket");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let socket = tokio_tungstenite::accept_async(stream).await;
                    let (to, from) = socket.expect("a WebSocket").split();
                    let _ = from.forward(to).await;
                });
            }
        });
        let origins = [0; 2].map(|_| Origin::start(|_| async { ok("fine") }));
        let config = |round: usize| {
            let to = origins[round % 2].address();
            Config::of_ingress(&format!(
                "routes: {{'*/chat': 'http://{chat}', '*': {{to: 'http://{to}', headers: {{response: {{set: {{x-round: {round}}}}}}}}}}}"
            ))
        };
        let ingress = Proxy::start(&config(0)).await;
        let url = format!("ws://{}/chat", ingress.address());
        let connected = expect("a handshake", tokio_tungstenite::connect_async(url)).await;
        let (mut socket, _) = connected.expect("a WebSocket");
        let load = Load::start(ingress.address(), 200, |_| get("/"));
        load.done(20).await;
        for round in 1..=100 {
            ingress.rewrite(&config(round).text());
            let reloaded = ingress.ask("POST", "/reload").await;
            assert!(reloaded.status.is_success(), "{}", reloaded.text());
            let wanted = round.to_string();
            until("the new route", async || {
                let reply = remora_tests::client::once(ingress.address(), get("/")).await;
                (reply.expect("an answer").header("x-round") == wanted).then_some(())
            })
            .await;
            socket
                .send(Message::text(wanted.clone()))
                .await
                .expect("sent");
            let echo = expect("an echo", socket.next()).await;
            let echo = echo.expect("open").expect("a message");
            assert_eq!(echo, Message::text(wanted));
        }
        load.stop().await.assert_none_failed();
    });
}
