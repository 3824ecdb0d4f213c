//! How an endpoint is chosen, and what a choice by hash depends on.

use std::net::SocketAddr;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName};
use twox_hash::XxHash64;

/// How an endpoint is chosen for a try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Policy {
    /// The cheaper of two drawn at random; cost is peak-EWMA latency times requests in flight.
    #[default]
    P2c,
    /// The one with the fewest requests in flight.
    Least,
    /// One after the other.
    RoundRobin,
    /// The same one for the same key.
    Hash(HashOn),
}

/// What the key of a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The value of a field.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The address of whoever sends the request, without its port.
    Source,
}

impl Policy {
    /// The key of a request; none where it has none, or none is needed. Without a key the choice is that of `P2c`.
    pub(super) fn key(&self, headers: Option<&HeaderMap>, peer: Option<SocketAddr>) -> Option<u64> {
        let Self::Hash(on) = self else { return None };
        match on {
            HashOn::Header(name) => headers?.get(name).map(|value| hash(value.as_bytes())),
            HashOn::Cookie(name) => cookie(headers?, name).map(|value| hash(value.as_bytes())),
            HashOn::Source => match peer?.ip() {
                std::net::IpAddr::V4(ip) => Some(hash(&ip.octets())),
                std::net::IpAddr::V6(ip) => Some(hash(&ip.octets())),
            },
        }
    }
}

/// The same in every process and every version: replicas must agree.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// A cookie's value (RFC 6265, 4.2.1).
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let fields = headers.get_all(COOKIE).iter();
    let mut pairs = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'));
    pairs.find_map(|pair| {
        let (own, value) = pair.trim().split_once('=')?;
        (own == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_that_of_the_cookie() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; session=x".parse().unwrap());
        headers.append(COOKIE, "b=2".parse().unwrap());
        let key = |name: &str| Policy::Hash(HashOn::Cookie(name.into())).key(Some(&headers), None);
        assert_eq!(key("session"), Some(hash(b"x")));
        assert_eq!(key("b"), Some(hash(b"2")));
        assert_eq!(key("sess"), None);
    }

    #[test]
    fn a_source_is_an_address_without_a_port() {
        let policy = Policy::Hash(HashOn::Source);
        let key = |text: &str| policy.key(None, Some(text.parse().unwrap()));
        assert_eq!(key("10.0.0.1:1"), key("10.0.0.1:2"));
        assert_ne!(key("10.0.0.1:1"), key("10.0.0.2:1"));
    }
}
