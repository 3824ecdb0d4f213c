//! Envoy's bootstrap configuration for forwarding to one origin.

use serde_json::{Value, json};

use super::Ports;

/// The bootstrap: one listener that tells HTTP/1.1 and HTTP/2 apart, one static cluster whose limits never bind.
///
/// `x-request-id` is not made up, because no other proxy of the comparison makes one.
pub(super) fn config(ports: Ports, forwarded: bool) -> Value {
    let manager = json!({
        "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "entry",
        "codec_type": "AUTO",
        "use_remote_address": forwarded,
        "skip_xff_append": !forwarded,
        "generate_request_id": false,
        "common_http_protocol_options": {"idle_timeout": "300s"},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": extension("filters.http.router.v3.Router")},
        }],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "30s"}}],
        }]},
    });
    let listener = json!({
        "name": "entry",
        "address": address(ports.http),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    });
    let unlimited = json!({"max_connections": 1_000_000, "max_pending_requests": 1_000_000, "max_requests": 1_000_000});
    let cluster = json!({
        "name": "origin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [unlimited]},
        "load_assignment": {
            "cluster_name": "origin",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(ports.origin)}}]}],
        },
    });
    json!({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
}

fn extension(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
