//! Envoy's bootstrap configuration for three endpoints, one of which fails.

use serde_json::{Value, json};

use super::peers::Ports;
use crate::peer::envoy::{bootstrap, cluster, extension, listener, manager};

/// The bootstrap: retries elsewhere, outlier detection and health checks, which do not end an ejection.
pub(super) fn config(ports: Ports) -> Value {
    let nothing = json!({});
    let manager = manager(&route(), &nothing);
    let listener = listener("entry", ports.http, &manager, &nothing);
    bootstrap(&[listener], &cluster(&ports.endpoints, &policies()))
}

/// A try that has no answer after 50 ms is given up, and the next one goes elsewhere.
fn route() -> Value {
    json!({
        "cluster": "origin",
        "timeout": "2s",
        "retry_policy": {
            "retry_on": "5xx,reset,connect-failure,refused-stream",
            "num_retries": 3,
            "per_try_timeout": "0.050s",
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.010s"},
            "host_selection_retry_max_attempts": 5,
            "retry_host_predicate": [{
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": extension("retry.host.previous_hosts.v3.PreviousHostsPredicate")},
            }],
        },
    })
}

fn policies() -> Value {
    json!({
        "connect_timeout": "0.250s",
        "lb_policy": "LEAST_REQUEST",
        "outlier_detection": {
            "consecutive_5xx": 3,
            "consecutive_gateway_failure": 3,
            "enforcing_consecutive_gateway_failure": 100,
            "interval": "0.500s",
            "base_ejection_time": "10s",
            "max_ejection_percent": 50,
            "successful_active_health_check_uneject_host": false,
            "success_rate_minimum_hosts": 3,
            "success_rate_request_volume": 30,
            "success_rate_stdev_factor": 1200,
            "failure_percentage_threshold": 10,
            "enforcing_failure_percentage": 100,
            "failure_percentage_minimum_hosts": 3,
            "failure_percentage_request_volume": 30,
        },
        "health_checks": [{
            "timeout": "0.050s",
            "interval": "0.500s",
            "no_traffic_interval": "0.500s",
            "unhealthy_threshold": 2,
            "healthy_threshold": 2,
            "http_health_check": {"path": "/health"},
        }],
    })
}
