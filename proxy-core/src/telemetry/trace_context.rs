//! W3C Trace Context: makes a `traceparent` where a request has none, and reads the trace id of one that has.
//!
//! A valid `traceparent` that came with the request is forwarded as it is, because this proxy adds no
//! span of its own to a trace; an invalid one is replaced.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header's name.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A new root: version 00, random ids, not sampled.
fn new_traceparent() -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    fill(&mut text[3..35]);
    fill(&mut text[36..52]);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("00"))
}

/// The `traceparent` of a request: its own, or a new one that it is given.
pub fn traced(headers: &mut HeaderMap) -> HeaderValue {
    if let Some(own) = headers.get(&TRACEPARENT).filter(|own| is_valid(own)) {
        return own.clone();
    }
    let new = new_traceparent();
    if headers.insert(TRACEPARENT, new.clone()).is_some() {
        // It belongs to the trace that could not be read (W3C Trace Context, 3.3.1).
        headers.remove(TRACESTATE);
    }
    new
}

/// Whether it can be followed; one that cannot is replaced (W3C Trace Context, 3.2.2 and 3.4).
fn is_valid(traceparent: &HeaderValue) -> bool {
    let bytes = traceparent.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        bytes[range]
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |range: std::ops::Range<usize>| bytes[range].iter().any(|byte| *byte != b'0');
    let version_00 = bytes.starts_with(b"00");
    bytes.len() >= 55
        && (bytes.len() == 55 || (!version_00 && bytes[55] == b'-'))
        && (bytes[2], bytes[35], bytes[52]) == (b'-', b'-', b'-')
        && [0..2, 3..35, 36..52, 53..55].into_iter().all(hex)
        && some(3..35)
        && some(36..52)
        && !bytes.starts_with(b"ff")
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
    for chunk in digits.chunks_exact_mut(16) {
        chunk.copy_from_slice(&hexadecimal(fastrand::u64(..)));
    }
    if let Some(last) = digits.last_mut() {
        *last = if *last == b'0' { b'1' } else { *last };
    }
}

/// Sixteen digits, all at once: each half-byte gets a byte of its own, and those above 9 are moved to the letters.
fn hexadecimal(number: u64) -> [u8; 16] {
    const EACH: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;
    let mut spread = u128::from(number);
    spread = (spread | spread << 32) & 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff;
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff;
    spread = (spread | spread << 4) & (0x0f * EACH);
    let letters = ((spread + 6 * EACH) >> 4) & EACH;
    let digits = spread + u128::from(b'0') * EACH + letters * u128::from(b'a' - b'0' - 10);
    digits.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210] {
            assert_eq!(hexadecimal(number), format!("{number:016x}").as_bytes());
        }
    }

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
    fn what_cannot_be_followed_is_replaced() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let later = format!("cc{}-what-comes-later", &good[2..]);
        for (value, stays) in [
            (good, true),
            (later.as_str(), true),
            ("nonsense", false),
            (&good[..54], false),
            (
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                false,
            ),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                false,
            ),
            (
                "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                false,
            ),
            (
                "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_str(value).unwrap());
            assert_eq!(traced(&mut headers) == value, stays, "{value}");
        }
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
