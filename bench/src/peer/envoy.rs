//! The parts of Envoy's bootstrap configuration that all comparisons share.

use serde_json::{Value, json};

/// The bootstrap of these listeners and of one cluster.
pub(crate) fn bootstrap(listeners: &[Value], cluster: &Value) -> Value {
    json!({"static_resources": {"listeners": listeners, "clusters": [cluster]}})
}

/// What reads HTTP: it tells HTTP/1.1 and HTTP/2 apart and sends every request along `route`. `settings` are added.
///
/// `x-request-id` is not made up, because no other proxy of the comparison makes one.
pub(crate) fn manager(route: &Value, settings: &Value) -> Value {
    let mut manager = json!({
        "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "entry",
        "codec_type": "AUTO",
        "generate_request_id": false,
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": extension("filters.http.router.v3.Router")},
        }],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": route}],
        }]},
    });
    add(&mut manager, settings);
    manager
}

/// A listener on 127.0.0.1; `settings` are added to its filter chain.
pub(crate) fn listener(name: &str, port: u16, manager: &Value, settings: &Value) -> Value {
    let mut chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }]});
    add(&mut chain, settings);
    json!({"name": name, "address": address(port), "filter_chains": [chain]})
}

/// The cluster `origin` of endpoints on 127.0.0.1, whose limits never bind; `settings` are added.
pub(crate) fn cluster(ports: &[u16], settings: &Value) -> Value {
    let unlimited = 1_000_000;
    let endpoint = |port: &u16| json!({"endpoint": {"address": address(*port)}});
    let endpoints: Vec<Value> = ports.iter().map(endpoint).collect();
    let mut cluster = json!({
        "name": "origin",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [{
            "max_connections": unlimited, "max_pending_requests": unlimited,
            "max_requests": unlimited, "max_retries": unlimited,
        }]},
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": endpoints}]},
    });
    add(&mut cluster, settings);
    cluster
}

/// The name of a type of Envoy's extensions.
pub(crate) fn extension(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// Adds the fields of one object to another.
fn add(to: &mut Value, fields: &Value) {
    if let (Some(to), Some(fields)) = (to.as_object_mut(), fields.as_object()) {
        to.extend(fields.clone());
    }
}
