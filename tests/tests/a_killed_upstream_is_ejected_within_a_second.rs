//! `kill -9` of one of three upstreams under load: no GET fails, and it is ejected within a second.

use std::time::{Duration, Instant};

use remora_tests::ambassador::Ambassador;
use remora_tests::client::get;
use remora_tests::load::Load;
use remora_tests::process::OriginProcess;
use remora_tests::promise::promise;

#[test]
fn a_killed_upstream_costs_no_request() {
    promise(async {
        let mut origins = Vec::new();
        for _ in 0..3 {
            origins.push(OriginProcess::start(Duration::from_millis(10)).await);
        }
        let to: Vec<String> = origins
            .iter()
            .map(|origin| format!("'http://{}'", origin.address()))
            .collect();
        let ambassador = Ambassador::serving(&format!("to: [{}]", to.join(", "))).await;
        let load = Load::start(ambassador.address(), 300, |_| get("/"));
        load.done(150).await;
        let dead = origins[0].address().to_string();
        let killed = Instant::now();
        origins[0].kill().await;
        let labels = [("entry", "users"), ("endpoint", dead.as_str())];
        ambassador
            .metric("remora_endpoint_ejected", &labels, |value| value == 1.0)
            .await;
        let took = killed.elapsed();
        load.done_more(300).await;
        load.stop().await.assert_none_failed();
        assert!(
            took < Duration::from_secs(1),
            "it was ejected after {took:?}"
        );
        let metrics = ambassador.metrics().await;
        assert!(metrics.sum("remora_ejections_total", &[("entry", "users")]) >= 1.0);
        assert_eq!(
            metrics.sum("remora_endpoints", &[("state", "ejected")]),
            1.0
        );
        assert_eq!(
            metrics.sum("remora_endpoints", &[("state", "available")]),
            2.0
        );
    });
}
