//! With every upstream failing, the origins see at most 1.2 times the client's requests, plus the
//! floor of ten a second. Connections that cannot be made cost no budget: no origin sees them.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use remora_tests::ambassador::Ambassador;
use remora_tests::client::get;
use remora_tests::load::{Load, Outcome};
use remora_tests::metrics::Metrics;
use remora_tests::origin::{Origin, status};
use remora_tests::promise::promise;
use remora_tests::scripted::{Scripted, refusing};

const REQUESTS: usize = 800;
const RATE: u32 = 200;

/// Runs the load and returns what became of it, how long it took, and the metrics.
async fn load(to: &str) -> (Outcome, Duration, Metrics) {
    let ambassador = Ambassador::serving(to).await;
    let started = Instant::now();
    let load = Load::start(ambassador.address(), RATE, |_| get("/"));
    load.done(REQUESTS).await;
    let outcome = load.stop().await;
    assert_eq!(outcome.failures.len(), outcome.done, "every upstream fails");
    (outcome, started.elapsed(), ambassador.metrics().await)
}

fn assert_within_budget(tries: usize, requests: usize, took: Duration) {
    // A second's worth of the floor may have been saved up before the load began.
    let floor = 10.0 * (took.as_secs_f64() + 1.0);
    let most = 1.2 * requests as f64 + floor;
    assert!(
        tries as f64 <= most,
        "{tries} tries for {requests} requests; at most {most:.0}"
    );
    assert!(
        tries > requests,
        "there was no retry at all, so the budget was not what held"
    );
}

fn assert_denied(metrics: &Metrics) {
    let denied = metrics.sum("remora_retries_denied_total", &[("why", "budget")]);
    assert!(denied > 0.0, "no retry was denied for the budget");
}

#[test]
fn every_upstream_answers_503() {
    promise(async {
        let origins = [0; 3].map(|_| Origin::start(|_| async { status(503) }));
        let to = origins
            .each_ref()
            .map(|origin| format!("'http://{}'", origin.address()));
        let (outcome, took, metrics) = load(&format!("to: [{}]", to.join(", "))).await;
        let tries = origins.iter().map(Origin::count).sum();
        assert_within_budget(tries, outcome.done, took);
        assert_denied(&metrics);
        assert_eq!(
            metrics.sum("remora_tries_total", &[("entry", "users")]) as usize,
            tries
        );
    });
}

#[test]
fn every_upstream_resets() {
    promise(async {
        let origins = [0; 3].map(|_| {
            Scripted::start(|mut wire, _| async move {
                let _ = wire.head().await;
                wire.reset();
            })
        });
        let to = origins
            .each_ref()
            .map(|origin| format!("'http://{}'", origin.address()));
        let (outcome, took, metrics) = load(&format!("to: [{}]", to.join(", "))).await;
        let tries = origins.iter().map(Scripted::connections).sum();
        assert_within_budget(tries, outcome.done, took);
        assert_denied(&metrics);
    });
}

#[test]
fn every_upstream_refuses() {
    promise(async {
        let origins = [0; 3].map(|_| refusing());
        let to = origins
            .each_ref()
            .map(|(address, _)| format!("'http://{address}'"));
        let settings = format!("to: [{}]\nretry: {{attempts: 2}}", to.join(", "));
        let (outcome, _, metrics) = load(&settings).await;
        for failure in &outcome.failures {
            let told = failure.reason.starts_with("status 502")
                && failure.reason.contains("error=connection_refused");
            assert!(told, "{failure:?}");
        }
        let sent = metrics.sum("remora_tries_total", &[("entry", "users")]);
        assert_eq!(sent, 0.0, "nobody was there to send anything to");
        let failed = [("entry", "users"), ("result", "failed")];
        let attempts = metrics.sum("remora_upstream_connects_total", &failed) as usize;
        let requests = outcome.done;
        assert!(
            (requests..=3 * requests).contains(&attempts),
            "{attempts} connections attempted for {requests} requests of three tries each"
        );
    });
}

#[test]
fn the_benign_twin_is_not_denied() {
    promise(async {
        // One request in ten fails the first time: well within a budget of a fifth.
        let failed = Mutex::new(HashSet::new());
        let origin = Origin::start(move |request| {
            let target = request.uri().path().to_owned();
            let first = target.ends_with('0') && failed.lock().expect("no panic").insert(target);
            async move { status(if first { 503 } else { 200 }) }
        });
        let settings = format!("to: http://{}\neject: off", origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        let load = Load::start(ambassador.address(), RATE, |number| {
            get(&format!("/{number}"))
        });
        load.done(400).await;
        load.stop().await.assert_none_failed();
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_retries_denied_total", &[]), 0.0);
        assert!(metrics.sum("remora_retries_total", &[("entry", "users")]) >= 40.0);
    });
}
