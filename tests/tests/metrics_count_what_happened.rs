//! `/metrics` is a clean exposition in which every promised family exists and counts.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get, post};
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::promise;

/// Each family with its type and its labels; the labels are looked at once there are samples.
const FAMILIES: [(&str, &str, &[&str]); 25] = [
    ("remora_build_info", "gauge", &["role", "version"]),
    ("remora_requests_total", "counter", &["entry", "code"]),
    ("remora_request_duration_seconds", "histogram", &["entry"]),
    ("remora_requests_in_flight", "gauge", &["entry"]),
    ("remora_tries_total", "counter", &["entry"]),
    ("remora_retries_total", "counter", &["entry", "reason"]),
    ("remora_retries_denied_total", "counter", &["entry", "why"]),
    ("remora_hedges_total", "counter", &["entry", "result"]),
    ("remora_faults_total", "counter", &["entry", "reason"]),
    ("remora_ejections_total", "counter", &["entry", "cause"]),
    ("remora_endpoints", "gauge", &["entry", "state"]),
    ("remora_endpoint_ejected", "gauge", &["entry", "endpoint"]),
    ("remora_upstream_connections", "gauge", &["entry"]),
    (
        "remora_upstream_connects_total",
        "counter",
        &["entry", "result"],
    ),
    ("remora_downstream_connections", "gauge", &["entry"]),
    ("remora_downstream_connections_total", "counter", &["entry"]),
    ("remora_downstream_errors_total", "counter", &["entry"]),
    ("remora_bytes_total", "counter", &["entry", "direction"]),
    (
        "remora_discovery_resolutions_total",
        "counter",
        &["entry", "result"],
    ),
    ("remora_discovery_stale", "gauge", &["entry"]),
    (
        "remora_health_checks_total",
        "counter",
        &["entry", "result"],
    ),
    ("remora_health_checks_heeded", "gauge", &["entry"]),
    ("remora_log_dropped_total", "counter", &[]),
    ("remora_config_reload_success", "gauge", &[]),
    ("remora_config_reloads_total", "counter", &["result"]),
];

#[test]
fn every_promised_family_is_there() {
    promise(async {
        let origin = Origin::start(|request| async move {
            if request.uri().path() == "/bad" {
                status(503)
            } else {
                ok("fine")
            }
        });
        let settings = format!("to: http://{}\neject: off", origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        connection.fetch(get("/")).await.expect("an answer");
        connection.fetch(get("/bad")).await.expect("an answer");
        connection
            .fetch(post("/bad", "x"))
            .await
            .expect("an answer");
        let requests = [("entry", "users"), ("code", "503")];
        ambassador
            .metric("remora_requests_total", &requests, |value| value == 2.0)
            .await;
        let metrics = ambassador.metrics().await;
        for (name, kind, labels) in FAMILIES {
            let is = metrics.families.get(name).map(String::as_str);
            assert_eq!(is, Some(kind), "{name}");
            let sampled = if kind == "histogram" {
                format!("{name}_count")
            } else {
                name.to_owned()
            };
            let found = metrics.labels(&sampled);
            if metrics.has(&sampled, &[]) {
                assert_eq!(found, labels.iter().copied().collect(), "{name}");
            }
        }
        assert!(metrics.has("remora_build_info", &[("role", "ambassador")]));
    });
}

#[test]
fn the_figures_are_those_of_the_traffic() {
    promise(async {
        let origin = Origin::start(|_| async { ok("x".repeat(1000)) });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        for _ in 0..10 {
            connection
                .fetch(post("/", vec![b'y'; 100]))
                .await
                .expect("an answer");
        }
        let entry = [("entry", "users")];
        let ended = |value: f64| value == 10.0;
        ambassador
            .metric("remora_request_duration_seconds_count", &entry, ended)
            .await;
        let metrics = ambassador.metrics().await;
        let of = |name: &str, label: (&str, &str)| metrics.sum(name, &[("entry", "users"), label]);
        assert_eq!(of("remora_requests_total", ("code", "200")), 10.0);
        assert_eq!(metrics.sum("remora_tries_total", &entry), 10.0);
        assert_eq!(metrics.sum("remora_requests_in_flight", &entry), 0.0);
        assert_eq!(metrics.sum("remora_downstream_connections", &entry), 1.0);
        assert_eq!(
            metrics.sum("remora_downstream_connections_total", &entry),
            1.0
        );
        assert_eq!(metrics.sum("remora_upstream_connections", &entry), 1.0);
        assert_eq!(of("remora_upstream_connects_total", ("result", "ok")), 1.0);
        assert_eq!(of("remora_endpoints", ("state", "available")), 1.0);
        // On the workload's side: the requests' bodies were received, the answers' were sent.
        assert_eq!(of("remora_bytes_total", ("direction", "received")), 1_000.0);
        assert_eq!(of("remora_bytes_total", ("direction", "sent")), 10_000.0);
        let infinite = [("entry", "users"), ("le", "+Inf")];
        assert_eq!(
            metrics.sum("remora_request_duration_seconds_bucket", &infinite),
            10.0
        );
    });
}
