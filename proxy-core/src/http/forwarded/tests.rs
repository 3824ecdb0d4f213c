//! Who is believed, what is replaced, and how the fields are written.

use std::net::IpAddr;

use http::{HeaderValue, Request};

use super::fields::tell;
use super::{Network, Params};

type Fields = &'static [(&'static str, &'static str)];

fn network(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').unwrap();
    Network::new(address.parse().unwrap(), prefix.parse().unwrap())
}

/// The fields of a request, sorted, once a proxy that trusts 10.0.0.0/8 and fd00::/8 has told who called.
fn told(peer: &str, both: bool, uri: &str, fields: Fields) -> Vec<String> {
    let mut request = Request::builder().uri(uri).body(()).unwrap();
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(*name, value);
    }
    let params = Params {
        trust: vec![network("10.0.0.0/8"), network("fd00::/8")],
        x_forwarded: true,
        forwarded: both,
        secure: false,
    };
    tell(&mut request, peer.parse().ok(), &params);
    let shown = request.headers().iter();
    let shown =
        shown.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

#[test]
fn what_a_stranger_says_is_replaced() {
    let spoofed: &[Fields] = &[
        &[],
        &[("x-forwarded-for", "127.0.0.1")],
        &[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2, 10.0.0.3"),
        ],
        &[
            ("X-Forwarded-For", ""),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "admin"),
        ],
        &[
            ("x-forwarded-port", "443"),
            ("x-forwarded-prefix", "/admin"),
            ("x-forwarded-ssl", "on"),
        ],
        &[
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1;host=admin;proto=https"),
        ],
        &[
            ("x_forwarded_for", "127.0.0.1"),
            ("x-forwarded_proto", "https"),
            ("x_real_ip", "::1"),
        ],
        &[
            ("forwarded", "for=\"[::1]\", for=unknown"),
            ("x-forwarded", "for=::1"),
        ],
        &[("x-forwarded-for", "\u{e9}")],
    ];
    for fields in spoofed {
        let with_host = [&[("host", "web")], *fields].concat();
        let with_host: Fields = Box::leak(with_host.into_boxed_slice());
        let expected = [
            "host: web",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: web",
            "x-forwarded-proto: http",
        ];
        assert_eq!(
            told("192.0.2.7", false, "/", with_host),
            expected,
            "{fields:?}"
        );
    }
}

#[test]
fn what_a_trusted_peer_says_is_added_to() {
    let fields: Fields = &[
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", " 198.51.100.2,198.51.100.3 "),
        ("x-forwarded-for", ""),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-port", "443"),
        ("x_forwarded_for", "127.0.0.1"),
        ("forwarded", "for=198.51.100.1;proto=https"),
    ];
    let list = "198.51.100.1, 198.51.100.2,198.51.100.3";
    for (peer, shown) in [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("fd00::1", "fd00::1"),
    ] {
        let node = if shown.contains(':') {
            "\"[fd00::1]\""
        } else {
            shown
        };
        let expected = [
            format!("forwarded: for=198.51.100.1;proto=https, for={node};proto=http"),
            format!("x-forwarded-for: {list}, {shown}"),
            "x-forwarded-host: shop.example".to_owned(),
            "x-forwarded-port: 443".to_owned(),
            "x-forwarded-proto: https".to_owned(),
        ];
        assert_eq!(told(peer, true, "/", fields), expected, "{peer}");
    }
}

#[test]
fn a_trusted_peer_that_says_nothing_is_the_caller() {
    let expected = [
        "forwarded: for=10.0.0.1;host=web;proto=http",
        "x-forwarded-for: 10.0.0.1",
        "x-forwarded-host: web",
        "x-forwarded-proto: http",
    ];
    assert_eq!(told("10.0.0.1", true, "http://web/", &[]), expected);
}

#[test]
fn addresses_and_hosts_are_written_as_the_rfc_wants_them() {
    for (peer, uri, expected) in [
        (
            "192.0.2.7",
            "http://web:8443/",
            "for=192.0.2.7;host=\"web:8443\";proto=http",
        ),
        (
            "2001:db8::7",
            "http://web/",
            "for=\"[2001:db8::7]\";host=web;proto=http",
        ),
        (
            "::ffff:192.0.2.7",
            "http://[::1]:80/",
            "for=192.0.2.7;host=\"[::1]:80\";proto=http",
        ),
        ("nobody", "/", "for=unknown;proto=http"),
    ] {
        let all = told(peer, true, uri, &[]);
        assert_eq!(all[0], format!("forwarded: {expected}"));
    }
    assert_eq!(told("nobody", false, "/", &[]), ["x-forwarded-proto: http"]);
    let ipv6 = told("2001:db8::7", false, "/", &[]);
    assert_eq!(ipv6[0], "x-forwarded-for: 2001:db8::7");
}

#[test]
fn ranges_hold_what_begins_with_their_bits() {
    for (range, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::a00:1"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
        ("fd00::/8", "fdff::1", "fe00::1"),
        ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
        ("::ffff:0.0.0.0/96", "192.0.2.7", "2001:db8::1"),
        ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
    ] {
        let [inside, outside]: [IpAddr; 2] = [inside, outside].map(|text| text.parse().unwrap());
        assert!(network(range).contains(inside), "{range} {inside}");
        assert!(!network(range).contains(outside), "{range} {outside}");
    }
    assert!(network("::/0").contains("203.0.113.1".parse().unwrap()));
}
