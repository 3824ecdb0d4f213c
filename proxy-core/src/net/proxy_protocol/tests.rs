//! Headers in both versions, whole, cut anywhere, and wrong.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::checksum::crc32c;
use super::decode::{V2, V2_MOST};
use super::{Ends, Header, Malformed, Version, decode, encode};

fn ends(source: &str, destination: &str) -> Ends {
    Ends {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// A header of version 2 with this command, family and what follows.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = (block.len() as u16).to_be_bytes();
    [V2, &[command, family][..], &length, block].concat()
}

fn value(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u16).to_be_bytes();
    [&[kind][..], &length, value].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdd, 0xd5, 0x01, 0xbb];

/// The same with its checksum behind these values.
fn with_checksum(values: &[u8]) -> Vec<u8> {
    let unsummed = v2(
        0x21,
        0x11,
        &[&IPV4[..], values, &value(3, &[0; 4])].concat(),
    );
    let sum = crc32c(&[&unsummed]).to_be_bytes();
    let kept = unsummed.len() - 4;
    [&unsummed[..kept], &sum].concat()
}

#[track_caller]
fn says(bytes: &[u8], said: Header) {
    let decoded = decode(bytes);
    assert_eq!(decoded, Ok(Some((said, bytes.len()))), "{bytes:x?}");
    for end in 0..bytes.len() {
        assert_eq!(
            decode(&bytes[..end]),
            Ok(None),
            "the first {end} of {bytes:x?}"
        );
    }
    let more = [bytes, b"\x16\x03\x01GET / HTTP/1.1\r\n"].concat();
    assert_eq!(decode(&more), Ok(Some((said, bytes.len()))), "{more:x?}");
}

#[track_caller]
fn is_wrong(bytes: &[u8], why: &'static str) {
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(decode(bytes), Err(Malformed(why)), "{shown:?} {bytes:x?}");
    // Nothing that it is cut down to is a header.
    for end in 0..bytes.len() {
        let decoded = decode(&bytes[..end]);
        assert!(!matches!(decoded, Ok(Some(_))), "{decoded:?} {bytes:x?}");
    }
}

#[test]
fn a_line_says_who_called() {
    let of_ipv4 = ends("255.255.255.255:65535", "192.0.2.1:443");
    says(
        b"PROXY TCP4 255.255.255.255 192.0.2.1 65535 443\r\n",
        Header::Proxied(of_ipv4),
    );
    let of_ipv6 = ends(
        "[2001:db8::1]:0",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
    );
    says(
        b"PROXY TCP6 2001:DB8::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 0 65535\r\n",
        Header::Proxied(of_ipv6),
    );
    says(b"PROXY UNKNOWN\r\n", Header::Local);
    says(b"PROXY UNKNOWN what\xffever 1 2\r\n", Header::Local);
    // The longest line that there may be (section 2.1).
    let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {all} {all} 65535 65535\r\n");
    assert_eq!(longest.len(), 107);
    says(longest.as_bytes(), Header::Local);
}

#[test]
fn a_line_that_can_be_read_in_two_ways_is_none() {
    for line in [
        "TCP4 192.0.2.1 192.0.2.2 1 2 ",
        "TCP4 192.0.2.1 192.0.2.2 1 2 3",
        "TCP4 192.0.2.1 192.0.2.2 1",
        "TCP4  192.0.2.1 192.0.2.2 1 2",
        "TCP4 192.0.2.01 192.0.2.2 1 2",
        "TCP4 192.0.2.1 192.0.2.2 01 2",
        "TCP4 192.0.2.1 192.0.2.2 +1 2",
        "TCP4 192.0.2.1 192.0.2.2 1 65536",
        "TCP4 192.0.2.1 192.0.2.2 1 ",
        "TCP4 192.0.2.1 ::1 1 2",
        "TCP6 192.0.2.1 192.0.2.2 1 2",
        "TCP6 fe80::1%1 fe80::2 1 2",
        "TCP4 ",
    ] {
        is_wrong(
            format!("PROXY {line}\r\n").as_bytes(),
            "the addresses are malformed",
        );
    }
    for line in [
        "TCP5 1 2 3 4",
        "UNKNOWNS",
        "UDP4 192.0.2.1 192.0.2.2 1 2",
        "",
        "tcp4 ",
        "TCP4",
    ] {
        is_wrong(
            format!("PROXY {line}\r\n").as_bytes(),
            "the family is unknown",
        );
    }
    is_wrong(b"PROXY TCP4 \xff\r\n", "the line is no text");
    is_wrong(b"PROXY UNKNOWN\n", "the line does not end in CRLF");
    let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(endless.len(), 108);
    is_wrong(endless.as_bytes(), "the line is too long");
}

#[test]
fn bytes_say_who_called() {
    let said = ends("192.0.2.1:56789", "198.51.100.2:443");
    says(&v2(0x21, 0x11, &IPV4), Header::Proxied(said));
    let ip = |last: u8| {
        let mut octets = [0; 16];
        (octets[0], octets[1], octets[15]) = (0x20, 0x01, last);
        octets
    };
    let of_ipv6 = [&ip(1)[..], &ip(2), &[0, 1, 0, 2]].concat();
    let said = ends("[2001::1]:1", "[2001::2]:2");
    says(&v2(0x21, 0x21, &of_ipv6), Header::Proxied(said));
}

#[test]
fn what_has_no_addresses_of_ip_says_nothing_of_others() {
    // LOCAL, whatever follows it.
    for (family, block) in [(0, &b""[..]), (0x11, &IPV4), (0xff, b"any"), (0x11, b"cut")] {
        says(&v2(0x20, family, block), Header::Local);
    }
    // UNSPEC, a stream and a datagram of Unix sockets, datagrams over IP.
    says(&v2(0x21, 0, b"any"), Header::Local);
    says(&v2(0x21, 0x31, &[b'/'; 216]), Header::Local);
    says(&v2(0x21, 0x32, &[0; 216]), Header::Local);
    says(&v2(0x21, 0x12, &IPV4), Header::Local);
    says(&v2(0x21, 0x22, &[0; 36]), Header::Local);
}

#[test]
fn values_are_passed_over_and_the_checksum_is_checked() {
    let said = Header::Proxied(ends("192.0.2.1:56789", "198.51.100.2:443"));
    let values = [
        value(0x02, b"shop.example"),
        value(0x04, b""),
        value(0x20, &[1, 0, 0, 0, 0]),
    ];
    let values = values.concat();
    let block = [&IPV4[..], &values].concat();
    says(&v2(0x21, 0x11, &block), said);
    let summed = with_checksum(&values);
    says(&summed, said);
    // But for the byte that says that there is a checksum.
    let kind = summed.len() - 7;
    for at in (16..summed.len()).filter(|at| *at != kind) {
        let mut changed = summed.clone();
        changed[at] ^= 1;
        assert!(!matches!(decode(&changed), Ok(Some(_))), "byte {at}");
    }
}

#[test]
fn bytes_that_do_not_fit_are_no_header() {
    is_wrong(&v2(0x11, 0x11, &IPV4), "the version is unknown");
    is_wrong(&v2(0x22, 0x11, &IPV4), "the command is unknown");
    for family in [0x01, 0x10, 0x13, 0x41, 0xff] {
        is_wrong(&v2(0x21, family, &[0; 216]), "the family is unknown");
    }
    for (family, length) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        is_wrong(
            &v2(0x21, family, &vec![0; length - 1]),
            "the addresses are cut short",
        );
    }
    for values in [&[4][..], &[4, 0], &[4, 0, 2, 1], &[4, 0xff, 0xff]] {
        let block = [&IPV4[..], values].concat();
        is_wrong(&v2(0x21, 0x11, &block), "a value is cut short");
    }
    let block = [&IPV4[..], &value(3, &[0; 3])].concat();
    is_wrong(&v2(0x21, 0x11, &block), "the checksum has another length");
    let block = [&IPV4[..], &value(3, &[0; 4])].concat();
    is_wrong(&v2(0x21, 0x11, &block), "the checksum is wrong");
    let twice = with_checksum(&value(3, &[0; 4]));
    is_wrong(&twice, "there are two checksums");
    is_wrong(
        &v2(0x21, 0x11, &vec![0; V2_MOST - 15]),
        "the header is too long",
    );
    for other in [
        "GET / HTTP/1.1\r\n",
        "PROXYTCP4",
        "\r\n\r\n\0\r\nQUIT\r",
        "\x16\x03\x01",
    ] {
        is_wrong(other.as_bytes(), "there is no header");
    }
}

#[test]
fn our_own_connections_are_nobodys() {
    assert_eq!(encode(Version::V1, None), b"PROXY UNKNOWN\r\n");
    assert_eq!(encode(Version::V2, None), v2(0x20, 0, b""));
}

#[test]
fn both_ends_are_of_one_family() {
    let mixed = ends("192.0.2.1:1", "[2001:db8::1]:2");
    let wide = ends("[::ffff:192.0.2.1]:1", "[2001:db8::1]:2");
    let mapped = ends("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
    let narrow = ends("192.0.2.1:1", "192.0.2.2:2");
    for version in [Version::V1, Version::V2] {
        says(&encode(version, Some(&mixed)), Header::Proxied(wide));
        says(&encode(version, Some(&mapped)), Header::Proxied(narrow));
    }
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let of_ipv4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let of_ipv6 = any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
    prop_oneof![of_ipv4, of_ipv6]
}

/// What is like a header, here and there.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    let line = "PROXY (TCP[46]|UNKNOWN) [0-9a-f:. ]{0,90}(\r\n)?";
    let line = proptest::string::string_regex(line).unwrap();
    let version = prop_oneof![Just(0x20u8), Just(0x21), any::<u8>()];
    let family = prop_oneof![Just(0x11u8), Just(0x21), Just(0x31), any::<u8>()];
    let bytes = (version, family, noise.clone());
    prop_oneof![
        noise,
        line.prop_map(String::into_bytes),
        bytes.prop_map(|(version, family, block)| v2(version, family, &block)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        source in address(),
        destination in address(),
        text: bool,
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let ends = Ends { source, destination };
        let version = if text { Version::V1 } else { Version::V2 };
        let header = encode(version, Some(&ends));
        let said = Header::Proxied(ends.of_one_family());
        for end in 0..header.len() {
            prop_assert_eq!(decode(&header[..end]), Ok(None));
        }
        let whole = [&header[..], &behind].concat();
        prop_assert_eq!(decode(&whole), Ok(Some((said, header.len()))));
    }

    /// What is decided is decided: more bytes change neither a header nor a refusal.
    #[test]
    fn every_way_to_cut_it_is_read_alike(bytes in nearly()) {
        let mut decided = None;
        for end in 0..=bytes.len() {
            let now = decode(&bytes[..end]);
            match (&decided, now) {
                (None, Ok(None)) => {}
                (None, now) => decided = Some(now),
                (Some(before), now) => prop_assert_eq!(*before, now, "{} bytes", end),
            }
            if let Ok(Some((_, length))) = now {
                prop_assert!(length <= end);
            }
        }
    }
}
