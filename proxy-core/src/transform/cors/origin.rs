//! Which origins may read responses.

use http::Uri;

use crate::pattern::{self, Pattern};

/// A set of origins, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Every origin.
    Any,
    /// `https://shop.example.com`, or with `*` for the beginning of its host, or all of it:
    /// `https://*.example.com` has every host below `example.com`, however deep, and not itself.
    Host(String),
    /// The origins that match a [`Pattern`] as a whole.
    Regex(String),
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WrongOrigin {
    /// It is not scheme, host and maybe a port.
    #[error(
        "`{0}` is no origin: write `https://host`, `https://host:port`, `https://*.host` or `*`"
    )]
    Syntax(String),
    /// It is no expression.
    #[error("the regular expression of the origin: {0}")]
    Regex(pattern::Error),
}

/// A set of origins, compiled.
#[derive(Debug, Clone)]
pub(super) enum Allowed {
    Any,
    /// As browsers write it.
    Exact(Box<str>),
    /// Beginning and end of an origin, around the labels that may be any.
    Below(Box<str>, Box<str>),
    Regex(Pattern),
}

impl Allowed {
    pub(super) fn compile(origin: &Origin) -> Result<Self, WrongOrigin> {
        match origin {
            Origin::Any => Ok(Self::Any),
            Origin::Host(text) => of_text(text).ok_or_else(|| WrongOrigin::Syntax(text.clone())),
            Origin::Regex(text) => {
                let pattern = Pattern::new(text).map_err(WrongOrigin::Regex)?;
                Ok(Self::Regex(pattern))
            }
        }
    }

    /// Whether `origin`, as a browser writes it, is among them.
    pub(super) fn contains(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *origin,
            Self::Below(begin, end) => {
                let rest = origin.strip_prefix(&**begin);
                let labels = rest.and_then(|rest| rest.strip_suffix(&**end));
                let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                labels.is_some_and(|labels| !labels.is_empty() && labels.bytes().all(inner))
            }
            Self::Regex(pattern) => pattern.matches(origin.as_bytes()),
        }
    }
}

/// Browsers write origins in lower case and leave out the port that the scheme has anyway (URL
/// Standard, serialisation of origins).
fn of_text(text: &str) -> Option<Allowed> {
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://")?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    // A star is a label that a URI may have.
    let (star, plain) = match rest.strip_prefix('*') {
        Some(end) => (true, format!("{scheme}://x{end}")),
        None => (false, lower.clone()),
    };
    let uri: Uri = plain.parse().ok()?;
    let authority = uri.authority()?;
    let host = authority.host();
    let port = authority.port_u16().filter(|port| *port != 0);
    let shown = |port: Option<u16>| port.map(|port| format!(":{port}")).unwrap_or_default();
    // Nothing but scheme, host and port, and no port that was not understood.
    let whole = plain == format!("{scheme}://{host}{}", shown(port));
    if !whole || host.is_empty() || host.contains('*') {
        return None;
    }
    let port = shown(port.filter(|port| *port != usual));
    if !star {
        return Some(Allowed::Exact(format!("{scheme}://{host}{port}").into()));
    }
    let end = host.strip_prefix('x')?;
    let below = end.is_empty() || end.starts_with('.') && end.len() > 1;
    below.then(|| Allowed::Below(format!("{scheme}://").into(), format!("{end}{port}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_as_browsers_write_them() {
        for (written, origin, expected) in [
            ("https://a.com", "https://a.com", true),
            ("https://A.com", "https://a.com", true),
            ("https://a.com:443", "https://a.com", true),
            ("http://a.com:80", "http://a.com", true),
            ("http://a.com:443", "http://a.com:443", true),
            ("https://a.com:8443", "https://a.com:8443", true),
            ("https://a.com:8443", "https://a.com", false),
            ("https://a.com", "https://a.com:8443", false),
            ("https://a.com", "http://a.com", false),
            ("https://a.com", "https://a.com.evil.net", false),
            ("https://a.com", "null", false),
            ("https://*.a.com", "https://b.a.com", true),
            ("https://*.a.com", "https://c.b.a.com", true),
            ("https://*.a.com", "https://a.com", false),
            ("https://*.a.com", "https://.a.com", false),
            ("https://*.a.com", "https://eva.com", false),
            ("https://*.a.com", "https://b.a.com:8443", false),
            ("https://*.a.com", "http://b.a.com", false),
            ("https://*.a.com", "https://evil.net/.a.com", false),
            ("https://*.a.com", "https://evil.net:80.a.com", false),
            ("https://*.a.com:8443", "https://b.a.com:8443", true),
            ("https://*.a.com:443", "https://b.a.com", true),
            ("https://*", "https://b.a.com", true),
            ("https://*", "https://b.a.com:8443", false),
            ("https://*:8443", "https://b.a.com:8443", true),
            ("https://*", "http://b.a.com", false),
            ("https://[::1]:8443", "https://[::1]:8443", true),
        ] {
            let allowed = Allowed::compile(&Origin::Host(written.to_owned())).unwrap();
            assert_eq!(allowed.contains(origin), expected, "{written}: {origin}");
        }
        let pattern = Origin::Regex(r"https://(a|b)\.com(:\d+)?".to_owned());
        let pattern = Allowed::compile(&pattern).unwrap();
        assert!(pattern.contains("https://b.com:1"));
        assert!(!pattern.contains("https://b.com.evil.net"));
        assert!(Allowed::compile(&Origin::Any).unwrap().contains("null"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for wrong in [
            "",
            "*",
            "null",
            "a.com",
            "ftp://a.com",
            "https://",
            "https://a.com/",
            "https://a.com/b",
            "https://a.com?b",
            "https://ann@a.com",
            "https://*a.com",
            "https://b.*.com",
            "https://*.*.com",
            "https://*.",
            "https://a.com:0",
            "https://a.com:",
            "https://a.com:x",
            "https://a b",
        ] {
            let origin = Origin::Host(wrong.to_owned());
            assert!(
                matches!(Allowed::compile(&origin), Err(WrongOrigin::Syntax(_))),
                "{wrong}"
            );
        }
        let wrong = Origin::Regex("(".to_owned());
        assert!(matches!(
            Allowed::compile(&wrong),
            Err(WrongOrigin::Regex(_))
        ));
    }
}
