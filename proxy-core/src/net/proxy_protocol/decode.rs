//! Reads a header from the first bytes of a connection, whichever version it is in.
//!
//! A header is never read in two ways: numbers have no leading zeros, blanks are single, lengths fit. Nothing behind it
//! is looked at, so that it makes no difference in which pieces it comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::checksum::crc32c;
use super::{Ends, Header};

/// How version 1 begins.
const V1: &[u8] = b"PROXY ";

/// The most that a line of version 1 takes, its end included (section 2.1).
const V1_MOST: usize = 107;

/// How version 2 begins (section 2.2).
pub(super) const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What comes before the addresses in version 2.
pub(super) const V2_FIXED: usize = 16;

/// The most of a header of version 2 that is read: HAProxy, whose whole buffer is as large, sends no larger one.
pub(super) const V2_MOST: usize = 16 * 1024;

/// Two addresses of Unix sockets.
const UNIX: usize = 216;

/// The value that holds the checksum of its header (`PP2_TYPE_CRC32C`).
const CRC32C: u8 = 0x03;

/// What comes is no header; says what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What the header says that `bytes` begin with, and how long it is; none while it is not complete.
///
/// # Errors
/// When no bytes that follow could make a header of these.
pub fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    if begins(bytes, V2) {
        v2(bytes)
    } else if begins(bytes, V1) {
        v1(bytes)
    } else {
        Err(Malformed("there is no header"))
    }
}

/// Whether they begin so, as far as they have come.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let length = bytes.len().min(with.len());
    bytes[..length] == with[..length]
}

fn v1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let seen = &bytes[..bytes.len().min(V1_MOST)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return match seen.len() {
            V1_MOST => Err(Malformed("the line is too long")),
            _ => Ok(None),
        };
    };
    let line = seen[..end].strip_suffix(b"\r");
    let line = line.ok_or(Malformed("the line does not end in CRLF"))?;
    let words = line.get(V1.len()..).unwrap_or_default();
    if words == b"UNKNOWN" || words.starts_with(b"UNKNOWN ") {
        // Whatever else stands on the line is to be ignored.
        return Ok(Some((Header::Local, end + 1)));
    }
    let words = std::str::from_utf8(words).map_err(|_| Malformed("the line is no text"))?;
    let ends = match words.split_once(' ') {
        Some(("TCP4", rest)) => ends::<Ipv4Addr>(rest),
        Some(("TCP6", rest)) => ends::<Ipv6Addr>(rest),
        _ => return Err(Malformed("the family is unknown")),
    };
    let ends = ends.ok_or(Malformed("the addresses are malformed"))?;
    Ok(Some((Header::Proxied(ends), end + 1)))
}

/// `SOURCE DESTINATION PORT PORT`.
fn ends<A: FromStr + Into<IpAddr>>(text: &str) -> Option<Ends> {
    let mut words = text.split(' ');
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (source, destination): (IpAddr, IpAddr) = (address()?, address()?);
    let ends = Ends {
        source: SocketAddr::new(source, port(words.next()?)?),
        destination: SocketAddr::new(destination, port(words.next()?)?),
    };
    words.next().is_none().then_some(ends)
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = digits && (text == "0" || !text.starts_with('0'));
    is_canonical.then(|| text.parse().ok())?
}

fn v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let Some(fixed) = bytes.get(..V2_FIXED) else {
        return Ok(None);
    };
    let (command, family) = (fixed[12], fixed[13]);
    if command >> 4 != 2 {
        return Err(Malformed("the version is unknown"));
    }
    let end = V2_FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if end > V2_MOST {
        return Err(Malformed("the header is too long"));
    }
    let Some(header) = bytes.get(..end) else {
        return Ok(None);
    };
    let said = match command & 0x0f {
        // Of the sender's own connection nothing else counts (section 2.2).
        0 => Header::Local,
        1 => proxied(header, family)?,
        _ => return Err(Malformed("the command is unknown")),
    };
    Ok(Some((said, end)))
}

/// What a whole header of version 2 says of a connection that is passed on.
fn proxied(header: &[u8], family: u8) -> Result<Header, Malformed> {
    let block = &header[V2_FIXED..];
    let short = Malformed("the addresses are cut short");
    let (said, length) = match family {
        // Nothing is known of the addresses, their length included.
        0x00 => return Ok(Header::Local),
        0x11 | 0x12 => {
            let block = block.first_chunk::<12>().ok_or(short)?;
            let ip =
                |at: usize| Ipv4Addr::new(block[at], block[at + 1], block[at + 2], block[at + 3]);
            (
                between(ip(0).into(), ip(4).into(), &block[8..]),
                block.len(),
            )
        }
        0x21 | 0x22 => {
            let block = block.first_chunk::<36>().ok_or(short)?;
            let ip = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&block[at..at + 16]);
                Ipv6Addr::from(octets)
            };
            (
                between(ip(0).into(), ip(16).into(), &block[32..]),
                block.len(),
            )
        }
        0x31 | 0x32 if block.len() < UNIX => return Err(short),
        0x31 | 0x32 => (Header::Local, UNIX),
        _ => return Err(Malformed("the family is unknown")),
    };
    check_values(header, V2_FIXED + length)?;
    // Datagrams: none of what is served here.
    Ok(if family & 0x0f == 2 {
        Header::Local
    } else {
        said
    })
}

fn between(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Header {
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Header::Proxied(Ends {
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
    })
}

/// Passes over the values behind the addresses (TLV: a kind, a length of two bytes, and as many bytes), and
/// holds the header against its checksum, if it has one.
fn check_values(header: &[u8], mut at: usize) -> Result<(), Malformed> {
    let mut checksum = None;
    while let Some(rest) = header.get(at..).filter(|rest| !rest.is_empty()) {
        let short = Malformed("a value is cut short");
        let [kind, high, low] = *rest.first_chunk::<3>().ok_or(short)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = rest.get(3..3 + length).ok_or(short)?;
        if kind == CRC32C {
            let stated = <[u8; 4]>::try_from(value);
            let stated = stated.map_err(|_| Malformed("the checksum has another length"))?;
            if checksum
                .replace((at + 3, u32::from_be_bytes(stated)))
                .is_some()
            {
                return Err(Malformed("there are two checksums"));
            }
        }
        at += 3 + length;
    }
    match checksum {
        // Of the header with zeros in its place.
        Some((at, stated)) if stated != crc32c(&[&header[..at], &[0; 4], &header[at + 4..]]) => {
            Err(Malformed("the checksum is wrong"))
        }
        _ => Ok(()),
    }
}
