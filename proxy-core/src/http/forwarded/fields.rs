//! The fields that say who called: which they are, and how they are written.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{FORWARDED, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use smallvec::SmallVec;

use super::Params;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The certificate of the caller.
pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// What came with it.
pub(super) const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Whether a field claims something of who called.
pub(in crate::http) fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-forwarded" | "x-real-ip")
}

/// Whether a field is one of those for the certificate of a caller (RFC 9440).
pub(in crate::http) fn is_client_cert(name: &HeaderName) -> bool {
    *name == CLIENT_CERT || *name == CLIENT_CERT_CHAIN
}

/// Whether a field is such a one, also to who reads `_` as `-`.
pub(in crate::http) fn is_read_as(name: &HeaderName, such: impl Fn(&HeaderName) -> bool) -> bool {
    let text = name.as_str();
    if !text.contains('_') {
        return such(name);
    }
    let read = text.replace('_', "-");
    HeaderName::try_from(read).is_ok_and(|read| such(&read))
}

/// Whether a field is no claim, and one to who reads `_` as `-`.
fn is_lookalike(name: &HeaderName) -> bool {
    !is_claim(name) && is_read_as(name, is_claim)
}

/// Replaces what the request says of its callers, or adds to it where `peer` is trusted.
pub(super) fn tell<B>(request: &mut Request<B>, peer: Option<IpAddr>, params: &Params) {
    let peer = peer.map(|peer| peer.to_canonical());
    let trusted = peer.is_some_and(|peer| params.trust.iter().any(|range| range.contains(peer)));
    strip(request.headers_mut(), trusted);
    let host = host(request);
    let scheme = if params.secure { "https" } else { "http" };
    let headers = request.headers_mut();
    if params.x_forwarded {
        if let Some(peer) = peer {
            append(headers, &X_FORWARDED_FOR, &peer.to_string());
        }
        let scheme = HeaderValue::from_static(scheme);
        headers.entry(&X_FORWARDED_PROTO).or_insert(scheme);
        if let Some(host) = &host {
            headers
                .entry(&X_FORWARDED_HOST)
                .or_insert_with(|| host.clone());
        }
    }
    if params.forwarded {
        append(headers, &FORWARDED, &element(peer, host.as_ref(), scheme));
    }
}

fn strip(headers: &mut HeaderMap, trusted: bool) {
    drop_fields(headers, |name| {
        (!trusted && is_claim(name)) || is_lookalike(name)
    });
}

/// Takes off all fields of such names.
pub(super) fn drop_fields(headers: &mut HeaderMap, such: impl Fn(&HeaderName) -> bool) {
    let names = headers.keys().filter(|name| such(name));
    let names: SmallVec<[HeaderName; 4]> = names.cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The authority that the caller wrote.
fn host<B>(request: &Request<B>) -> Option<HeaderValue> {
    let own = request.uri().authority();
    let own = own.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    own.or_else(|| request.headers().get(HOST).cloned())
}

/// Adds an item behind those of all lines of a list, as one line.
fn append(headers: &mut HeaderMap, name: &HeaderName, item: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(name) {
        let line = line.as_bytes().trim_ascii();
        if !line.is_empty() {
            list.extend_from_slice(line);
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(item.as_bytes());
    // It is made of what was a value, and of an item that may stand in one.
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

/// What one proxy says (RFC 7239, section 4).
fn element(peer: Option<IpAddr>, host: Option<&HeaderValue>, scheme: &str) -> String {
    let mut said = match peer {
        None => "for=unknown".to_owned(),
        Some(IpAddr::V4(ip)) => format!("for={ip}"),
        Some(IpAddr::V6(ip)) => format!("for=\"[{ip}]\""),
    };
    if let Some(host) = host
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty())
    {
        let is_token = host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'*+".contains(&b));
        let written = if is_token {
            write!(said, ";host={host}")
        } else {
            write!(
                said,
                ";host=\"{}\"",
                host.replace('\\', "\\\\").replace('"', "\\\"")
            )
        };
        // A text takes whatever is written to it.
        let _ = written;
    }
    let _ = write!(said, ";proto={scheme}");
    said
}
