//! Tells caches which request fields a response depends on (RFC 9110, 12.5.5).

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, VARY};

/// Adds `name` to `Vary`, unless it says so already.
pub(super) fn add(headers: &mut HeaderMap, name: &HeaderName) {
    let said = headers.get_all(VARY).iter().any(|line| {
        let names = line.to_str().unwrap_or_default().split(',').map(str::trim);
        let mut known = names.filter(|own| *own == "*" || own.eq_ignore_ascii_case(name.as_str()));
        known.next().is_some()
    });
    if !said {
        headers.append(VARY, HeaderValue::from(name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use http::header::ORIGIN;

    use super::*;

    #[test]
    fn a_name_is_said_once() {
        for (before, after) in [
            (&[][..], &["origin"][..]),
            (&["accept"], &["accept", "origin"]),
            (&["accept, Origin"], &["accept, Origin"]),
            (&["*"], &["*"]),
            (&["x-origin"], &["x-origin", "origin"]),
        ] {
            let mut headers = HeaderMap::new();
            for line in before {
                headers.append(VARY, HeaderValue::from_static(line));
            }
            add(&mut headers, &ORIGIN);
            let lines: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(lines, after, "{before:?}");
        }
    }
}
