//! What a request would get, told from the configuration alone: nothing is looked up and nothing is sent.

#[cfg(feature = "gateway")]
mod routed;

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Map, Value, json};

use super::{EntryPlan, HttpPlan, Plan, RequestPlan, ServicePlan, Source, is_below};
use crate::address::Address;
use crate::balance::{HashOn, Policy, owner};
use crate::config::{Document, Duration, Entry, ListenHost, OrOff, PathPolicy, Section};
use crate::http::Protocol;
use crate::resilience::mirror::is_copied;
use crate::resilience::timeout::asked as asked_time;

/// A request to be told about.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asked {
    /// A request line such as `GET http://localhost:9000/users`, and fields such as `x-user: ann`.
    ///
    /// # Errors
    /// The line or a field cannot be read; the error says what to write.
    pub fn new<'f>(
        line: &str,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, String> {
        let (method, uri) = match line.split_once(' ') {
            Some((method, uri)) => (method, uri.trim()),
            None => ("GET", line),
        };
        let example = "write a method and a URL, like `GET http://localhost:9000/users`";
        let method = method
            .parse()
            .map_err(|_| format!("`{method}` is not a method; {example}"))?;
        let uri: Uri = uri
            .parse()
            .map_err(|_| format!("`{uri}` is not a URL; {example}"))?;
        if uri.authority().is_none() {
            return Err(format!("`{uri}` names no listener; {example}"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().map_err(|_| {
                format!("`{name}` is not the name of a header; write `NAME: VALUE`")
            })?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("`{value}` cannot stand in a header"))?;
            headers.append(name, value);
        }
        Ok(Self {
            method,
            uri,
            headers,
        })
    }
}

/// What the request would get, by the words of the configuration.
///
/// # Errors
/// No entry listens where the URL points; the error names those that there are.
pub fn foretell(
    document: &Document,
    plan: &Plan,
    asked: &Asked,
) -> Result<Map<String, Value>, String> {
    let (host, port) = (
        asked.uri.host().unwrap_or_default(),
        asked.uri.port_u16().unwrap_or(default_port(&asked.uri)),
    );
    let listeners = document.listeners();
    // Clients know a gateway by the names of its routes, whatever its own address is.
    let any_host = document.section() == Section::Ingress;
    let found = listeners
        .iter()
        .find(|(_, listen)| listen.port == port && (any_host || takes(listen.host, host)));
    let Some((name, _)) = found else {
        let all = listeners.iter();
        let all: Vec<String> = all.map(|(n, listen)| format!("{n} ({listen})")).collect();
        let all = all.join(", ");
        return Err(format!(
            "no entry listens on {host}:{port}; there are {all}"
        ));
    };
    let planned = plan
        .entries
        .iter()
        .find(|plan| *plan.name == *name.as_str());
    let Some(planned) = planned else {
        return Err(format!("the entry `{name}` is not planned"));
    };
    let mut told = Map::new();
    told.insert("entry".into(), json!(name.as_str()));
    #[cfg(feature = "gateway")]
    if let Some(gateway) = document.config.ingress.get(*name) {
        told.extend(routed::tell(gateway, plan, planned, asked)?);
        return Ok(told);
    }
    let entries = document.entries();
    let entry = entries.iter().find(|(entry, _)| entry == name);
    let Some((_, entry)) = entry else {
        return Err(format!("the entry `{name}` is not planned"));
    };
    match &planned.service {
        ServicePlan::Tcp(_) => {
            told.insert("protocol".into(), json!("bytes"));
            told.extend(whereto(entry, planned, asked));
        }
        ServicePlan::Http(http) => told.extend(of_http(entry, planned, http, asked)),
    }
    Ok(told)
}

fn default_port(uri: &Uri) -> u16 {
    match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    }
}

fn takes(listen: ListenHost, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match listen {
        ListenHost::All => true,
        ListenHost::Localhost => ["localhost", "127.0.0.1", "::1"].contains(&bare),
        ListenHost::Ip(ip) => bare.parse() == Ok(ip) || (bare == "localhost" && ip.is_loopback()),
    }
}

fn of_http(entry: &Entry, plan: &EntryPlan, http: &HttpPlan, asked: &Asked) -> Map<String, Value> {
    let paths = http
        .paths
        .iter()
        .filter(|(path, _)| is_below(asked.uri.path(), path));
    let path = paths.max_by_key(|(path, _)| path.len());
    let policy = path.map_or(&http.policy, |(_, policy)| policy);
    let own = path.and_then(|(path, _)| entry.paths.get(path));
    let mut told = Map::new();
    told.insert("path".into(), json!(path.map(|(path, _)| path)));
    told.insert("protocol".into(), json!(spoken(http.client.protocol)));
    told.extend(whereto(entry, plan, asked));
    if http.client.keep_host {
        let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or(asked.uri.authority().map(http::uri::Authority::as_str));
        told.insert("authority".into(), json!(host));
    }
    told.extend(policies(entry, own, policy, asked));
    told
}

fn spoken(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "HTTP/1.1",
        Protocol::Http2 => "HTTP/2",
        Protocol::Negotiated => "HTTP/2 or HTTP/1.1, as the service chooses",
    }
}

/// Where it goes: what is looked up, and the endpoint itself where there is only one that it can be.
fn whereto(entry: &Entry, plan: &EntryPlan, asked: &Asked) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("to".into(), json!(entry.to));
    told.insert("discover".into(), json!(entry.discovery()));
    let fixed = plan.targets.iter().map(|target| {
        let address = match &target.source {
            Source::Fixed(ip) => Address::Tcp(SocketAddr::new(*ip, target.port)),
            Source::Unix(path) => Address::Unix(Arc::clone(path)),
            _ => return None,
        };
        Some((address, target.weight))
    });
    let fixed: Option<Vec<_>> = fixed.collect();
    let policy = match &plan.service {
        ServicePlan::Http(http) => &http.balance,
        ServicePlan::Tcp(tcp) => &tcp.balance,
    };
    let endpoint = match (fixed.as_deref(), policy) {
        (Some([(only, _)]), _) => Some(only.clone()),
        // Who will ask is not known here.
        (Some(_), Policy::Hash(HashOn::Source)) => None,
        (Some(all), Policy::Hash(_)) => owner(policy, all, &asked.headers),
        _ => None,
    };
    told.insert("balance".into(), json!(entry.balance));
    told.insert("endpoint".into(), json!(endpoint.map(|e| e.to_string())));
    let authorities: Vec<&str> = plan.targets.iter().map(|t| t.authority.as_str()).collect();
    let one = authorities
        .first()
        .filter(|first| authorities.iter().all(|a| a == *first));
    told.insert("authority".into(), json!(one));
    told
}

fn policies(
    entry: &Entry,
    own: Option<&PathPolicy>,
    policy: &RequestPlan,
    asked: &Asked,
) -> Map<String, Value> {
    let of_path = own.map(|own| own.timeout.clone()).unwrap_or_default();
    let retry = own
        .and_then(|own| own.retry.as_ref())
        .unwrap_or(&entry.retry);
    let hedge = own
        .and_then(|own| own.hedge.as_ref())
        .unwrap_or(&entry.hedge);
    let inject = own
        .and_then(|own| own.inject.as_ref())
        .unwrap_or(&entry.inject);
    let mirror = own
        .and_then(|own| own.mirror.as_ref())
        .unwrap_or(&entry.mirror);
    let repeatable = policy.retry.as_ref().is_some_and(|retry| {
        retry.params.methods.contains(&asked.method)
            || asked.headers.contains_key("idempotency-key")
    });
    let hedged = policy.hedge.as_ref();
    let hedged = hedged.is_some_and(|hedge| hedge.params.methods.contains(&asked.method));
    let retry = match retry {
        OrOff::Off => json!("off"),
        OrOff::On(retry) => json!({
            "attempts": retry.attempts,
            "on": retry.on,
            "though-perhaps-seen": repeatable,
        }),
    };
    let field = entry.timeout.field.on().map(|field| &field.0);
    let wanted = asked_time(&asked.headers, field);
    let limit = policy.request_timeout;
    let request = match wanted.filter(|wanted| limit.is_none_or(|limit| *wanted < limit)) {
        Some(wanted) => OrOff::On(Duration::from_millis(wanted.as_millis() as u64)),
        None => of_path.request.unwrap_or(entry.timeout.request),
    };
    let told = json!({
        "timeout": {
            "request": request,
            "try": of_path.r#try.unwrap_or(entry.timeout.r#try),
            "connect": entry.timeout.connect,
        },
        "retry": retry,
        "hedge": if hedged { json!(hedge) } else { json!("off") },
        "limit": entry.limit,
        "inject": inject,
        "mirror": if is_copied(&asked.headers) { json!(mirror) } else { json!("off") },
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}
