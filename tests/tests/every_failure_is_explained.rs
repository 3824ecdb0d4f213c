//! For every reason that there is, the explanation of a request that fails for it, as a whole.

use std::net::SocketAddr;

use http::HeaderValue;
use remora_tests::ambassador::Ambassador;
use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::client::{Connection, Protocol, get, once};
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::origin::{Origin, hang, ok};
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::scripted::{Scripted, listen, refusing};
use remora_tests::tls;
use rustix::process::{Resource, Rlimit};
use serde_json::Value;

/// What one request is told, without what differs from run to run.
async fn told(ambassador: &Ambassador, names: &[(String, &str)]) -> String {
    let mut request = get("/");
    let one = HeaderValue::from_static("1");
    request.headers_mut().insert("x-remora-explain", one);
    let reply = once(ambassador.address(), request).await;
    let reply = reply.expect("an answer");
    steady(
        reply.status.as_u16(),
        reply.header("x-remora-explain"),
        names,
    )
}

fn steady(status: u16, text: &str, names: &[(String, &str)]) -> String {
    let mut told: Value = serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
    told["elapsed_ms"] = 0.into();
    for tried in told["tries"].as_array_mut().expect("tries") {
        tried["at_ms"] = 0.into();
        tried["took_ms"] = 0.into();
    }
    let mut text = format!("{status} {told}");
    for (address, name) in names {
        text = text.replace(address, name);
    }
    text
}

/// The whole explanation of a request that was tried once, and not again.
fn once_tried(status: u16, reason: &str, detail: &str) -> String {
    let outcome = format!("{reason}: {detail}");
    explained(status, &[&outcome], reason, detail, "null")
}

fn explained(status: u16, tries: &[&str], reason: &str, detail: &str, budget: &str) -> String {
    let tries: Vec<String> = tries
        .iter()
        .map(|outcome| {
            let outcome = Value::from(*outcome);
            format!(r#"{{"endpoint":"ENDPOINT","at_ms":0,"took_ms":0,"outcome":{outcome}}}"#)
        })
        .collect();
    let (tries, detail) = (tries.join(","), Value::from(detail));
    format!(
        r#"{status} {{"entry":"users","path":null,"elapsed_ms":0,"tries":[{tries}],"reason":"{reason}","detail":{detail},"retry_denied":null,"budget_left":{budget}}}"#
    )
}

/// Starts one entry that never retries, and asks it.
async fn of(to: SocketAddr, more: &str) -> String {
    let settings = format!("to: http://{to}\nretry: off\n{more}");
    let ambassador = Ambassador::serving(&settings).await;
    told(&ambassador, &[(to.to_string(), "ENDPOINT")]).await
}

#[test]
fn connections() {
    promise(async {
        let (nobody, _held) = refusing();
        assert_eq!(
            of(nobody, "").await,
            once_tried(
                502,
                "connection_refused",
                "ENDPOINT refused the connection: Connection refused (os error 111)"
            )
        );
        let closes = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
        });
        assert_eq!(
            of(closes.address(), "").await,
            once_tried(
                502,
                "connection_terminated",
                "ENDPOINT closed the connection before it answered: unexpected end of file"
            )
        );
        // A full backlog: the kernel drops further attempts, as a dead host does.
        let full = listen(remora_tests::scripted::ephemeral());
        let address = full.local_addr().expect("bound");
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(
            std::time::Duration::from_millis(300),
            tokio::net::TcpStream::connect(address),
        )
        .await
        {
            held.push(stream);
        }
        assert_eq!(
            of(address, "timeout: {connect: 200ms}").await,
            once_tried(
                504,
                "connection_timeout",
                "no connection to ENDPOINT within 200ms"
            )
        );
    });
}

#[test]
fn names() {
    promise(async {
        let dns = Dns::start().await;
        dns.set("silent.test", Answer::Silence);
        for (name, status, reason, detail) in [
            (
                "absent.test",
                502,
                "dns_error",
                "there is no such name as absent.test",
            ),
            (
                "silent.test",
                504,
                "dns_timeout",
                "no name server answered for silent.test",
            ),
        ] {
            let config = Config::of(&format!("to: http://{name}:80\nretry: off"));
            let ambassador = Ambassador::start(&config.with(&dns.setting())).await;
            let told = told(&ambassador, &[]).await;
            assert_eq!(told, explained(status, &[], reason, detail, "null"));
        }
        let config = Config::of("to: http://users\nretry: off\ndiscover: {file: absent}");
        let ambassador = Ambassador::start(&config).await;
        assert_eq!(
            told(&ambassador, &[]).await,
            explained(
                503,
                &[],
                "destination_unavailable",
                "absent: No such file or directory (os error 2)",
                "null"
            )
        );
    });
}

#[test]
fn answers() {
    promise(async {
        let silent = Origin::start(|_| hang());
        assert_eq!(
            of(silent.address(), "timeout: {request: 200ms}").await,
            explained(
                504,
                &["given up for being slow"],
                "http_response_timeout",
                "no response within timeout.request of 200ms",
                "null"
            )
        );
        let nonsense = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
            let _ = wire.send("HTTP/1.1 nonsense\r\n\r\n").await;
        });
        assert_eq!(
            of(nonsense.address(), "").await,
            once_tried(
                502,
                "http_protocol_error",
                "ENDPOINT did not answer in HTTP: the status is no number"
            )
        );
        let switches = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
            let _ = wire
                .send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
                )
                .await;
        });
        let told = of(switches.address(), "").await;
        assert!(told.contains(r#""reason":"http_upgrade_failed""#), "{told}");
        // The head has gone out before it is known that the body is cut.
        let cut = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
            let _ = wire
                .send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")
                .await;
        });
        let settings = format!("to: http://{}", cut.address());
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let mut request = get("/");
        let one = HeaderValue::from_static("1");
        request.headers_mut().insert("x-remora-explain", one);
        let response = connection.send(request).await.expect("a head");
        let value = &response.headers()["x-remora-explain"];
        let names = [(cut.address().to_string(), "ENDPOINT")];
        let told = steady(200, value.to_str().expect("text"), &names);
        assert!(told.contains(r#""outcome":"status 200""#), "{told}");
        drop(response);
        let line = ambassador.logged("/").await;
        assert_eq!(line["reason"], "http_response_incomplete", "{line}");
    });
}

#[test]
fn certificates() {
    promise(async {
        let (ours, other) = (Authority::new("ours"), Authority::new("another"));
        let folder = tempfile::tempdir().expect("a folder");
        let ca = place(folder.path(), "ca.pem", &ours.pem());
        let of_tls = async |origin: &Origin| {
            let settings = format!(
                "to: https://{}\nretry: off\ntls: {{ca: {}, alpn: [http/1.1]}}",
                origin.address(),
                ca.display()
            );
            let ambassador = Ambassador::serving(&settings).await;
            told(&ambassador, &[(origin.address().to_string(), "ENDPOINT")]).await
        };
        let foreign = other.issue(&["127.0.0.1"], Validity::Now);
        let origin = Origin::secured(foreign.server(&[], None), |_| async { ok("fine") });
        assert_eq!(
            of_tls(&origin).await,
            once_tried(
                502,
                "tls_certificate_error",
                "the certificate of ENDPOINT is not accepted: no trusted authority has issued it"
            )
        );
        let own = ours.issue(&["127.0.0.1"], Validity::Now);
        let origin = Origin::secured(own.server(&[], Some(&ours)), |_| async { ok("fine") });
        assert_eq!(
            of_tls(&origin).await,
            once_tried(
                502,
                "tls_alert_received",
                "ENDPOINT ended the connection with the TLS alert CertificateRequired"
            )
        );
        let origin = Origin::start(|_| async { ok("fine") });
        assert_eq!(
            of_tls(&origin).await,
            once_tried(502, "tls_protocol_error", "ENDPOINT does not speak TLS")
        );
    });
}

#[test]
fn limits_and_ourselves() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!(
            "to: http://{}\nretry: off\nlimit: {{in-flight: 1}}",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let mut first = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let flight = tokio::spawn(async move { first.fetch(get("/")).await });
        origin.received(1).await;
        assert_eq!(
            told(&ambassador, &[]).await,
            explained(
                503,
                &[],
                "connection_limit_reached",
                "1 requests are under way, which is limit.in-flight",
                "null"
            )
        );
        flight.abort();
        let injected = of(origin.address(), "inject: {abort: {share: 100%}}").await;
        assert_eq!(
            injected,
            explained(
                503,
                &[],
                "proxy_internal_response",
                "answered by inject.abort without being sent",
                "null"
            )
        );
    });
}

#[test]
fn a_request_that_is_refused_and_descriptors_that_have_run_out() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let settings = format!(
            "to: http://{}\nretry: off\npaths: {{/open: {{inject: {{abort: {{share: 100%}}}}}}}}",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let mut request = get("/");
        *request.method_mut() = http::Method::CONNECT;
        *request.uri_mut() = "a.test:80".parse().expect("an authority");
        let one = HeaderValue::from_static("1");
        request
            .headers_mut()
            .insert("x-remora-explain", one.clone());
        let reply = connection.fetch(request).await.expect("an answer");
        assert_eq!(
            steady(reply.status.as_u16(), reply.header("x-remora-explain"), &[]),
            explained(
                400,
                &[],
                "http_request_error",
                "CONNECT is not served",
                "null"
            )
        );
        // A connection that is accepted already, and then nothing more to open.
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        connection.fetch(get("/open")).await.expect("an answer");
        let limit = Rlimit {
            current: Some(3),
            maximum: Some(3),
        };
        ambassador.limit(Resource::Nofile, limit);
        let mut request = get("/");
        request.headers_mut().insert("x-remora-explain", one);
        let reply = connection.fetch(request).await.expect("an answer");
        let names = [(origin.address().to_string(), "ENDPOINT")];
        assert_eq!(
            steady(
                reply.status.as_u16(),
                reply.header("x-remora-explain"),
                &names
            ),
            once_tried(
                500,
                "proxy_internal_error",
                "out of file descriptors: Too many open files (os error 24)"
            )
        );
    });
}

/// What only a gateway has.
#[test]
fn routes() {
    promise(async {
        let config = Config::of_ingress("routes: {a.test: {respond: {status: 204}}}");
        let ingress = Proxy::start(&config).await;
        let mut request = get("/");
        let one = HeaderValue::from_static("1");
        request.headers_mut().insert("x-remora-explain", one);
        let reply = once(ingress.address(), request).await.expect("an answer");
        let told: Value = serde_json::from_str(reply.header("x-remora-explain")).expect("JSON");
        assert_eq!(told["entry"], "edge");
        assert_eq!(told["reason"], "destination_not_found");
        assert_eq!(told["detail"], "no route fits the request");
        assert_eq!(told["tries"], serde_json::json!([]));
    });
}

/// The connection was made for a host that asks for no certificate.
#[test]
fn hosts_with_other_rules() {
    promise(async {
        let (authority, folder) = tls::issued();
        let at = folder.path().display();
        let config = Config::of_ingress(&format!(
            "tls: {{cert: {at}/web.pem, key: {at}/web.key, hosts: {{b.test: {{client-ca: {at}/clients.pem}}}}}}\n\
             routes: {{'*': {{respond: {{status: 204}}}}}}"
        ));
        let ingress = Proxy::start(&config).await;
        let caller = tls::Caller::trusting(&authority).config();
        let connected = tls::connect(ingress.address(), &caller).await;
        let mut stream = connected.expect("a handshake");
        let request =
            "GET / HTTP/1.1\r\nhost: b.test\r\nx-remora-explain: 1\r\nconnection: close\r\n\r\n";
        let answer = tls::exchange(&mut stream, request)
            .await
            .expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
        let told = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-remora-explain: "));
        let told: Value = serde_json::from_str(told.expect("an explanation")).expect("JSON");
        assert_eq!(told["reason"], "http_request_denied");
        assert_eq!(told["entry"], "edge");
    });
}

#[test]
fn no_reason_is_missing_here() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let metrics = ambassador.ask("GET", "/metrics").await.text();
        let own = include_str!("every_failure_is_explained.rs");
        for line in metrics
            .lines()
            .filter(|line| line.starts_with("remora_faults_total"))
        {
            let reason = line
                .split("reason=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            let reason = reason.unwrap_or_else(|| panic!("no reason in {line}"));
            assert!(
                own.contains(&format!("\"{reason}\"")),
                "{reason} is not explained here"
            );
        }
    });
}
