//! What a header says: between whom a connection is.

use std::net::{IpAddr, SocketAddr};

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Who made it.
    pub source: SocketAddr,
    /// Where it was made to.
    pub destination: SocketAddr,
}

impl Ends {
    /// The same, both in the family that holds both: IPv4, or IPv6 as soon as one of them is of that.
    pub(super) fn of_one_family(&self) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (source, destination) = (canonical(self.source), canonical(self.destination));
        if source.is_ipv4() == destination.is_ipv4() {
            return Self {
                source,
                destination,
            };
        }
        let wide = |end: SocketAddr| match end.ip() {
            IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), end.port()),
            IpAddr::V6(_) => end,
        };
        Self {
            source: wide(source),
            destination: wide(destination),
        }
    }
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The connection is passed on for one between these ends.
    Proxied(Ends),
    /// The connection is its sender's own (`LOCAL`), or passed on for one that has no addresses of IP
    /// (`UNKNOWN`, `UNSPEC`, Unix sockets, datagrams): the ends that it has itself count.
    Local,
}
