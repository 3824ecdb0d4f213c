//! Hosts: as they are written in matches, and as they come in requests.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::error::Error;
use super::rule::Host;

/// The most bytes of a name (RFC 1035, 2.3.4). What is longer is no name and matches none.
pub(super) const MAX_LENGTH: usize = 253;

/// Reads `*`, `*.name`, a name (RFC 1123, and `_` as names in use have it) or an address.
pub(super) fn parse(text: &str) -> Result<Host, Error> {
    let wrong = || Error::Host(text.to_owned());
    let lower = text.to_ascii_lowercase();
    if lower == "*" {
        return Ok(Host::Any);
    }
    if let Some(suffix) = lower.strip_prefix("*.") {
        let named = is_name(suffix).then(|| Host::Wildcard(suffix.into()));
        return named.ok_or_else(wrong);
    }
    let inner = lower.strip_prefix('[').and_then(|s| s.strip_suffix(']'));
    let known = match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(&lower),
    };
    match known {
        true => Ok(Host::Exact(lower.into())),
        false => Err(wrong()),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_LENGTH && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The host of an authority as matches name it: in lower case, without port and final dot.
///
/// Gateway API wants the port to be ignored. A final dot makes a name absolute (RFC 3986, 3.2.2).
pub fn canonical(authority: &str) -> Cow<'_, str> {
    let host = match authority.starts_with('[') {
        true => authority.split_inclusive(']').next(),
        false => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.len() <= MAX_LENGTH && host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// What wildcards may say of `host`, the longest first: `b.c` and `c` of `a.b.c`.
pub(super) fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    let dots = host.bytes().enumerate().skip(1);
    dots.filter(|(_, byte)| *byte == b'.')
        .filter_map(|(at, _)| host.get(at + 1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_from_text() {
        for (text, host) in [
            ("*", Host::Any),
            ("*.Example.com", Host::Wildcard("example.com".into())),
            ("*.com", Host::Wildcard("com".into())),
            ("Shop.example.com", Host::Exact("shop.example.com".into())),
            ("localhost", Host::Exact("localhost".into())),
            ("my_service", Host::Exact("my_service".into())),
            ("10.0.0.1", Host::Exact("10.0.0.1".into())),
            ("[::1]", Host::Exact("[::1]".into())),
        ] {
            assert_eq!(parse(text), Ok(host), "{text}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for wrong in [
            "",
            "*.",
            "a.*.com",
            "**.com",
            "*a.com",
            "a..b",
            ".a",
            "a.",
            "a:80",
            "-a",
            "a-",
            "a/b",
            "bücher.example",
            "::1",
            "[1]",
            "*.*.com",
            &long,
            &"a.".repeat(127),
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn authorities_lose_case_port_and_final_dot() {
        for (authority, host) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com:8443", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[FE80::1]", "[fe80::1]"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("", ""),
            (":80", ""),
            ("[", "["),
        ] {
            assert_eq!(canonical(authority), host, "{authority}");
        }
    }

    #[test]
    fn suffixes_leave_out_one_label_or_more() {
        let all = |host| suffixes(host).collect::<Vec<_>>();
        assert_eq!(all("a.b.c"), ["b.c", "c"]);
        assert!(all("c").is_empty());
        assert!(all("").is_empty());
        assert!(all(".c").is_empty(), "the label before it is none");
    }
}
