//! An endpoint that fails its health checks gets no request until it passes them again, whatever it speaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, get};
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::promise;
use remora_tests::scripted::listen;

/// An upstream that says who it is, and is well as long as the flag says so.
fn upstream(name: &'static str, well: &Arc<AtomicBool>) -> Origin {
    let well = Arc::clone(well);
    Origin::start(move |request| {
        let well = well.load(Ordering::SeqCst);
        let checked = request.uri().path() == "/healthz";
        async move {
            match (checked, well) {
                (true, false) => status(500),
                _ => ok(name),
            }
        }
    })
}

async fn unhealthy(ambassador: &Ambassador, count: f64) {
    let labels = [("state", "unhealthy")];
    ambassador
        .metric("remora_endpoints", &labels, |value| value == count)
        .await;
}

async fn answers(ambassador: &Ambassador, count: usize) -> Vec<String> {
    let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
        .await
        .expect("open");
    let mut all = Vec::new();
    for _ in 0..count {
        let reply = connection.fetch(get("/")).await.expect("an answer");
        all.push(reply.text());
    }
    all
}

#[test]
fn over_both_versions_of_http() {
    promise(async {
        for scheme in ["http", "h2c"] {
            let [one, two] = [true, true].map(|well| Arc::new(AtomicBool::new(well)));
            let (first, second) = (upstream("first", &one), upstream("second", &two));
            let settings = format!(
                "to: ['{scheme}://{}', '{scheme}://{}']\nbalance: round-robin\n\
                 health: {{path: /healthz, every: 50ms, failures: 2}}\neject: off",
                first.address(),
                second.address()
            );
            let ambassador = Ambassador::serving(&settings).await;
            let checks = [("result", "ok")];
            ambassador
                .metric("remora_health_checks_total", &checks, |value| value > 3.0)
                .await;
            let both = answers(&ambassador, 10).await;
            assert!(both.contains(&"first".into()) && both.contains(&"second".into()));
            one.store(false, Ordering::SeqCst);
            unhealthy(&ambassador, 1.0).await;
            assert_eq!(answers(&ambassador, 10).await, ["second"; 10]);
            // When all fail, the checks say more of themselves.
            two.store(false, Ordering::SeqCst);
            unhealthy(&ambassador, 2.0).await;
            let heeded = |value: f64| value == 0.0;
            ambassador
                .metric("remora_health_checks_heeded", &[], heeded)
                .await;
            assert_eq!(answers(&ambassador, 10).await.len(), 10);
            one.store(true, Ordering::SeqCst);
            unhealthy(&ambassador, 1.0).await;
            let heeded = |value: f64| value == 1.0;
            ambassador
                .metric("remora_health_checks_heeded", &[], heeded)
                .await;
            assert_eq!(answers(&ambassador, 10).await, ["first"; 10], "{scheme}");
        }
    });
}

/// A message of `grpc.health.v1`, of this status: 1 is SERVING, 2 NOT_SERVING.
fn health(status: u8) -> Response<Body> {
    let message = [0, 0, 0, 0, 2, 8, status];
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [
        Ok(Frame::data(Bytes::copy_from_slice(&message))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Response::new(BodyExt::boxed(body))
}

#[test]
fn over_grpc() {
    promise(async {
        let serving = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&serving);
        let start = move |name: &'static str, flag: Option<Arc<AtomicBool>>| {
            Origin::start(move |request| {
                let well = flag.as_ref().is_none_or(|flag| flag.load(Ordering::SeqCst));
                async move {
                    if request.uri().path() != "/grpc.health.v1.Health/Check" {
                        return ok(name);
                    }
                    let asked = request.into_body().collect().await;
                    let asked = asked.map(|body| body.to_bytes()).unwrap_or_default();
                    if &asked[..] == b"\0\0\0\0\x07\x0a\x05users" {
                        health(if well { 1 } else { 2 })
                    } else {
                        status(400)
                    }
                }
            })
        };
        let (first, second) = (start("first", Some(flag)), start("second", None));
        let settings = format!(
            "to: ['h2c://{}', 'h2c://{}']\nhealth: {{grpc: users, every: 50ms, failures: 1}}",
            first.address(),
            second.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let checks = [("result", "ok")];
        ambassador
            .metric("remora_health_checks_total", &checks, |value| value > 3.0)
            .await;
        unhealthy(&ambassador, 0.0).await;
        serving.store(false, Ordering::SeqCst);
        unhealthy(&ambassador, 1.0).await;
        assert_eq!(answers(&ambassador, 10).await, ["second"; 10]);
    });
}

#[test]
fn over_tcp() {
    promise(async {
        let well = Arc::new(AtomicBool::new(true));
        let origin = upstream("there", &well);
        let mut other = upstream("gone", &well);
        let settings = format!(
            "to: ['tcp://{}', 'tcp://{}']\nhealth: {{every: 50ms, failures: 1}}\neject: off",
            origin.address(),
            other.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        other.kill().await;
        unhealthy(&ambassador, 1.0).await;
        for _ in 0..10 {
            assert_eq!(answers(&ambassador, 1).await, ["there"]);
        }
        // Nobody listens on what was the other's port, so it was not even tried.
        let failed = [("result", "failed")];
        let connects = ambassador.metrics().await;
        assert_eq!(connects.sum("remora_upstream_connects_total", &failed), 0.0);
        drop(listen(other.address()));
    });
}
