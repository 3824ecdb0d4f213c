//! Writes a header.

use std::net::{IpAddr, SocketAddr};

use super::decode::V2;
use super::{Ends, Version};

/// The header of a connection that is passed on for one between `ends`, or of one that is our own (none).
pub fn encode(version: Version, ends: Option<&Ends>) -> Vec<u8> {
    let ends = ends.map(Ends::of_one_family);
    match version {
        Version::V1 => v1(ends).into_bytes(),
        Version::V2 => v2(ends),
    }
}

fn v1(ends: Option<Ends>) -> String {
    let Some(Ends {
        source,
        destination,
    }) = ends
    else {
        return "PROXY UNKNOWN\r\n".to_owned();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
}

fn v2(ends: Option<Ends>) -> Vec<u8> {
    let mut header = V2.to_vec();
    let Some(Ends {
        source,
        destination,
    }) = ends
    else {
        // Version 2, LOCAL, of no family, and nothing behind.
        header.extend_from_slice(&[0x20, 0, 0, 0]);
        return header;
    };
    // Version 2, PROXY, of a stream over IPv4 or IPv6.
    let (family, length) = if source.is_ipv4() {
        (0x11, 12)
    } else {
        (0x21, 36)
    };
    header.extend_from_slice(&[0x21, family, 0, length]);
    for end in [source, destination] {
        address(&mut header, end);
    }
    for end in [source, destination] {
        header.extend_from_slice(&end.port().to_be_bytes());
    }
    header
}

fn address(header: &mut Vec<u8>, end: SocketAddr) {
    match end.ip() {
        IpAddr::V4(ip) => header.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => header.extend_from_slice(&ip.octets()),
    }
}
