//! W3C Trace Context: makes a `traceparent` where a request has none, and reads the trace id of one that has.
//!
//! A `traceparent` that came with the request is forwarded as it is: this proxy adds no span of its
//! own to a trace it does not export.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header's name.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A new root: version 00, random ids, not sampled.
fn new_traceparent() -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    fill(&mut text[3..35]);
    fill(&mut text[36..52]);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("00"))
}

/// The `traceparent` of a request: its own, or a new one that it is given.
pub fn traced(headers: &mut HeaderMap) -> HeaderValue {
    if let Some(own) = headers.get(&TRACEPARENT) {
        return own.clone();
    }
    let new = new_traceparent();
    headers.insert(TRACEPARENT, new.clone());
    new
}

/// The trace id in a `traceparent`, where it is well formed.
pub fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    let id = traceparent.to_str().ok()?.get(3..35)?;
    id.bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then_some(id)
}

/// Fills `digits` with hexadecimal digits, the last of which is never 0: an id of zeros is invalid.
fn fill(digits: &mut [u8]) {
    for chunk in digits.chunks_mut(16) {
        let mut random = fastrand::u64(..);
        for digit in chunk {
            *digit = HEX[(random & 15) as usize];
            random >>= 4;
        }
    }
    if let Some(last) = digits.last_mut() {
        *last = HEX[fastrand::usize(1..16)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_read() {
        let mut headers = HeaderMap::new();
        let value = traced(&mut headers);
        assert_eq!(value.len(), 55);
        assert_eq!(headers[TRACEPARENT], value);
        assert_eq!(&value.to_str().unwrap()[3..35], trace_id(&value).unwrap());
        assert_eq!(traced(&mut headers), value, "what is there stays");
        assert_ne!(new_traceparent(), value);
    }

    #[test]
    fn malformed_is_no_trace() {
        for bad in [
            "",
            "00-",
            "00-zz000000000000000000000000000000-0000000000000000-00",
        ] {
            assert_eq!(trace_id(&HeaderValue::from_static(bad)), None);
        }
    }
}
