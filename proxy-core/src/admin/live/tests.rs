//! The policy of the page names what the page holds; rates and latencies are those of the time that has passed.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use tokio::time::Instant;

use super::page::POLICY;
use super::rates::{Count, History};
use crate::telemetry::EntryTelemetry;

/// What a policy calls this text (CSP level 3, section 2.3.1).
fn source(text: &str) -> String {
    let suite = TLS13_AES_128_GCM_SHA256
        .tls13()
        .expect("a suite of TLS 1.3");
    let hash = suite.common.hash_provider.hash(text.as_bytes());
    format!("'sha256-{}'", base64(hash.as_ref()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| {
            bits << 8 | u32::from(*group.get(i).unwrap_or(&0))
        });
        let digit = |i: usize| match i <= group.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[test]
fn base64_is_that_of_rfc_4648() {
    let known = [
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ];
    known
        .iter()
        .for_each(|(text, wanted)| assert_eq!(base64(text.as_bytes()), *wanted));
}

#[test]
fn the_policy_names_the_style_and_the_script() {
    let parts = [
        ("style-src", include_str!("page.css")),
        ("script-src", include_str!("page.js")),
    ];
    for (kind, text) in parts {
        let wanted = format!("{kind} {}", source(text));
        assert!(POLICY.contains(&wanted), "page.rs must say {wanted}");
    }
}

#[test]
fn rates_are_of_the_time_between_two_readings() {
    let telemetry = Arc::new(EntryTelemetry::new("users", 2));
    let mut history = History::default();
    let count = |requests| Count {
        requests,
        errors: requests / 10,
        durations: std::array::from_fn(|bucket| if bucket == 2 { requests } else { 0 }),
        ..Count::default()
    };
    let now = Instant::now();
    let first = history.read(&telemetry, &count(100), now);
    assert_eq!(first, (None, None));
    let later = now + Duration::from_secs(2);
    let (rates, latency) = history.read(&telemetry, &count(300), later);
    let rates = rates.expect("rates");
    assert_eq!(
        (rates.requests, rates.errors, rates.retries),
        (100.0, 10.0, 0.0)
    );
    // All of them took from half a millisecond to a whole one.
    let latency = latency.expect("a latency");
    assert!(latency.p50 > 0.5 && latency.p99 <= 1.0, "{latency:?}");
    // Another entry of that name has counted nothing yet.
    let another = Arc::new(EntryTelemetry::new("users", 2));
    let first = history.read(&another, &count(7), later);
    assert_eq!(first, (None, None));
    history.keep(&[]);
    let first = history.read(&another, &count(9), later + Duration::from_secs(1));
    assert_eq!(first, (None, None));
}
