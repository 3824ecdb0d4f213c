//! What an ACME authority asks for is done: renewals when it wants them (RFC 9773), and pauses when it has too much
//! to do. What it must not say does no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use remora_tests::certificates::{Authority, Validity};
use remora_tests::client::{Body, full};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::pebble::{Manner, Pebble, trusting};
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use serde_json::{Value, json};
use tokio::net::TcpStream;

const ORDERS: &str = "remora_tls_acme_orders_total";
const NEXT: &str = "remora_tls_acme_next_order_timestamp_seconds";
const WEB: [(&str, &str); 1] = [("entry", "web")];

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock").as_secs()
}

/// A sidecar whose authority is at this place, and is trusted by the certificate in the file `ca.pem` of `folder`.
async fn sidecar(origin: &Origin, at: &Origin, ca: &str, folder: &tempfile::TempDir) -> Proxy {
    let file = folder.path().join("ca.txt");
    std::fs::write(&file, ca).expect("a file");
    Proxy::start(&Config::of_sidecar(&format!(
        "to: http://{}\ntls: {{acme: {{names: [shop.test], folder: '{}', terms: agreed, \
         directory: 'https://{}/dir', ca: '{}'}}}}",
        origin.address(),
        folder.path().display(),
        at.address(),
        file.display()
    )))
    .await
}

async fn orders(sidecar: &Proxy, result: &str, count: f64) {
    let labels = [("entry", "web"), ("result", result)];
    sidecar
        .metric(ORDERS, &labels, |value| value == count)
        .await;
}

/// Asks who is behind in place of who is in front, whose name is kept.
async fn forward(to: std::net::SocketAddr, root: &str, request: Request<Bytes>) -> Response<Bytes> {
    let tcp = TcpStream::connect(to).await.expect("pebble");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting(root, &[])));
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let stream = connector.connect(name, tcp).await.expect("TLS");
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("HTTP");
    tokio::spawn(connection);
    let answer = sender.send_request(request.map(full)).await;
    let (head, body) = answer.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(head, body)
}

async fn whole(request: Request<Incoming>) -> Request<Bytes> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Request::from_parts(head, body)
}

fn told(value: &Value) -> Response<Body> {
    ok(value.to_string())
}

/// What was signed: the payload of a request (RFC 7515, 7.2.2).
fn payload(request: &Request<Bytes>) -> Value {
    let signed: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let payload = signed["payload"].as_str().unwrap_or_default().as_bytes();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(payload);
    serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default()
}

/// When the authority wants a certificate renewed: the first one at once, and any other one never.
fn advice(first: &std::sync::Mutex<Option<String>>, of: &str) -> Response<Body> {
    let mut first = first.lock().expect("nobody has panicked");
    let is_first = first.get_or_insert_with(|| of.to_owned()) == of;
    let (start, end) = match is_first {
        true => ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"),
        false => ("2400-01-01T00:00:00Z", "2400-01-02T00:00:00Z"),
    };
    let mut advice = told(&json!({"suggestedWindow": {"start": start, "end": end}}));
    let again = HeaderValue::from_static("21600");
    advice.headers_mut().insert("retry-after", again);
    advice
}

#[test]
fn a_certificate_is_renewed_when_the_authority_wants_it() {
    promise(async {
        let Some(mut pebble) = Pebble::announce().await else {
            return;
        };
        pebble.knows("shop.test");
        let origin = Origin::start(|_| async { ok("fine") });
        let (behind, ca) = (pebble.address(), pebble.ca());
        let first = Arc::new(std::sync::Mutex::new(None));
        let renewals = Arc::new(AtomicUsize::new(0));
        let (root, counted) = (ca.clone(), Arc::clone(&renewals));
        let front = Origin::secured(pebble.own().server(&[], None), move |request| {
            let (root, first, counted) = (root.clone(), Arc::clone(&first), Arc::clone(&counted));
            async move {
                let request = whole(request).await;
                let path = request.uri().path().to_owned();
                if let Some(of) = path.strip_prefix("/ari/") {
                    return advice(&first, of);
                }
                if payload(&request)["replaces"].is_string() {
                    counted.fetch_add(1, SeqCst);
                    let kind = "urn:ietf:params:acme:error:alreadyReplaced";
                    let mut refusal = told(&json!({"type": kind, "status": 409}));
                    *refusal.status_mut() = http::StatusCode::CONFLICT;
                    return refusal;
                }
                let host = request.headers()["host"]
                    .to_str()
                    .expect("a host")
                    .to_owned();
                let answer = forward(behind, &root, request).await;
                if path != "/dir" {
                    return answer.map(full);
                }
                let mut directory: Value = serde_json::from_slice(answer.body()).expect("JSON");
                directory["renewalInfo"] = format!("https://{host}/ari").into();
                told(&directory)
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let sidecar = sidecar(&origin, &front, &ca, &folder).await;
        let manner = Manner {
            tls: sidecar.address().port(),
            ..Manner::default()
        };
        pebble.start(manner).await;
        orders(&sidecar, "obtained", 2.0).await;
        assert_eq!(renewals.load(SeqCst), 1);
        // Left to ourselves we would renew at two thirds of its life.
        let metrics = sidecar.metrics().await;
        let expiry = metrics.sum("remora_tls_certificate_expiry_timestamp_seconds", &WEB);
        let late = expiry - (expiry - now() as f64) / 10.0;
        sidecar
            .metric(NEXT, &WEB, |next| (late..expiry).contains(&next))
            .await;
        orders(&sidecar, "obtained", 2.0).await;
    });
}

#[test]
fn an_authority_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks() {
    promise(async {
        let trusted = Authority::new("who vouches for the directory");
        let own = trusted.issue(&["127.0.0.1"], Validity::Now);
        let origin = Origin::start(|_| async { ok("fine") });
        let front = Origin::secured(own.server(&[], None), |request| async move {
            let host = request.headers()["host"]
                .to_str()
                .expect("a host")
                .to_owned();
            let at = |path: &str| format!("https://{host}/{path}");
            let mut answer = match request.uri().path() {
                "/dir" => told(&json!({
                    "newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("order"),
                    "revokeCert": at("revoke"), "keyChange": at("key"),
                })),
                "/nonce" => ok(""),
                _ => {
                    let kind = "urn:ietf:params:acme:error:rateLimited";
                    let mut answer = told(&json!({"type": kind, "detail": "not before tomorrow"}));
                    *answer.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
                    let day = HeaderValue::from_static("86400");
                    answer.headers_mut().insert("retry-after", day);
                    answer
                }
            };
            let nonce = HeaderValue::from_static("nonce");
            answer.headers_mut().insert("replay-nonce", nonce);
            answer
        });
        let folder = tempfile::tempdir().expect("a folder");
        let sidecar = sidecar(&origin, &front, &trusted.pem(), &folder).await;
        orders(&sidecar, "rate-limited", 1.0).await;
        let (least, most) = ((now() + 86_000) as f64, (now() + 86_500) as f64);
        let next = |next: f64| (least..most).contains(&next);
        sidecar.metric(NEXT, &WEB, next).await;
        let said = sidecar
            .log
            .find("why", |line| line["reason"] == "rate-limited")
            .await;
        assert_eq!(said["detail"], "not before tomorrow (rateLimited)");
    });
}

#[test]
fn answers_that_make_no_sense_are_refusals_like_others() {
    promise(async {
        let trusted = Authority::new("who vouches for the directory");
        let own = trusted.issue(&["127.0.0.1"], Validity::Now);
        let origin = Origin::start(|_| async { ok("fine") });
        for (directory, result) in [
            (
                json!({"newNonce": "http://[", "newAccount": "x", "newOrder": "x"}),
                "unreachable",
            ),
            (
                json!({"newNonce": 7, "newAccount": "x", "newOrder": "x"}),
                "unreachable",
            ),
            (
                json!({"newNonce": "https://nobody.invalid/", "newAccount": "x", "newOrder": "x"}),
                "unreachable",
            ),
            (
                json!({"newNonce": "http://127.0.0.1:1/", "newAccount": "x", "newOrder": "x"}),
                "unreachable",
            ),
            (json!([1, 2]), "refused"),
            (json!("x".repeat(2_000_000)), "unreachable"),
        ] {
            let front = Origin::secured(own.server(&[], None), move |_| {
                let mut answer = told(&directory);
                // More seconds than any time of day has room for.
                let never = HeaderValue::from_static("18446744073709551615");
                answer.headers_mut().insert("retry-after", never);
                async move { answer }
            });
            let folder = tempfile::tempdir().expect("a folder");
            let sidecar = sidecar(&origin, &front, &trusted.pem(), &folder).await;
            orders(&sidecar, result, 1.0).await;
            let soon = (now() + 100) as f64;
            sidecar
                .metric(NEXT, &WEB, |next| next > 0.0 && next < soon)
                .await;
            assert_eq!(sidecar.ask("GET", "/readyz").await.status, 200);
        }
        let front = Origin::secured(own.server(&[], None), |_| async { status(500) });
        let folder = tempfile::tempdir().expect("a folder");
        let sidecar = sidecar(&origin, &front, &trusted.pem(), &folder).await;
        orders(&sidecar, "refused", 1.0).await;
    });
}
