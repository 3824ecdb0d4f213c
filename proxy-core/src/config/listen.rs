//! Addresses on this machine and of name servers: where to listen, whom to ask.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::written::{Invalid, Written, written};

/// Where a listener waits for connections, written `localhost:9000`, `*:9000`, `10.0.0.1:9000`
/// or `[::1]:9000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenAddress {
    /// The addresses to listen on.
    pub host: ListenHost,
    /// The port; 0 asks the system for a free one.
    pub port: u16,
}

/// The addresses that a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenHost {
    /// One address.
    Ip(IpAddr),
    /// Both loopback addresses, `127.0.0.1` and `::1`, written `localhost`.
    Localhost,
    /// Every address of the machine, written `*`.
    All,
}

impl ListenAddress {
    /// Both loopback addresses with this port.
    pub const fn localhost(port: u16) -> Self {
        Self {
            host: ListenHost::Localhost,
            port,
        }
    }

    /// The socket addresses to bind, the IPv4 one first. An IPv6 one stands for IPv6 alone: it is
    /// bound with `IPV6_V6ONLY`.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        let hosts: &[IpAddr] = match &self.host {
            ListenHost::Ip(ip) => std::slice::from_ref(ip),
            ListenHost::Localhost => &[
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ],
            ListenHost::All => &[
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            ],
        };
        hosts
            .iter()
            .map(|host| SocketAddr::new(*host, self.port))
            .collect()
    }
}

/// Listeners by their sockets: finds those that cannot both be bound, because they have the same fixed
/// port on an address they share.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The first listener of each socket.
    sockets: HashMap<SocketAddr, usize>,
    /// The first listener of each port, on any IPv4 and on any IPv6 address.
    ports: HashMap<(u16, bool), usize>,
}

impl Taken {
    /// Takes the sockets of a listener; the number of the first of those before it that has one of them.
    /// Numbers ascend from call to call.
    pub(crate) fn take(&mut self, number: usize, address: &ListenAddress) -> Option<usize> {
        if address.port == 0 {
            return None;
        }
        let sockets = address.sockets();
        let earlier = sockets.iter().flat_map(|socket| self.holders(*socket));
        let earlier = earlier.min();
        for socket in sockets {
            self.sockets.entry(socket).or_insert(number);
            let port = self.ports.entry((socket.port(), socket.is_ipv4()));
            port.or_insert(number);
        }
        earlier
    }

    /// The first listeners that a socket collides with: on the same address, on all, or, where it is on
    /// all itself, on any.
    fn holders(&self, socket: SocketAddr) -> impl Iterator<Item = usize> {
        let all = match socket {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let same = self.sockets.get(&socket);
        let on_all = self.sockets.get(&SocketAddr::new(all, socket.port()));
        let any = self.ports.get(&(socket.port(), socket.is_ipv4()));
        let any = any.filter(|_| socket.ip().is_unspecified());
        [same, on_all, any].into_iter().flatten().copied()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            ListenHost::Ip(ip) => SocketAddr::new(ip, self.port).fmt(f),
            ListenHost::Localhost => write!(f, "localhost:{}", self.port),
            ListenHost::All => write!(f, "*:{}", self.port),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                host: ListenHost::Ip(address.ip()),
                port: address.port(),
            });
        }
        let Some((host, port)) = text
            .rsplit_once(':')
            .filter(|_| text.parse::<IpAddr>().is_err())
        else {
            return Err(Invalid::new(
                format!("`{text}` is not an address to listen on"),
                missing_part(text),
            ));
        };
        let host = match host {
            "localhost" => ListenHost::Localhost,
            "*" => ListenHost::All,
            "" => {
                let help = format!("write `localhost:{port}`, or `\"*:{port}\"` for every address");
                return Err(Invalid::new(format!("`{text}` names no host"), help));
            }
            _ => {
                let help = "the host is an IP address, `localhost`, or `*` for every address";
                return Err(Invalid::new(
                    format!("cannot listen on the host `{host}`"),
                    help,
                ));
            }
        };
        Ok(Self {
            host,
            port: parse_port(port, 0)?,
        })
    }
}

/// Says how to complete a text that is only a port or only a host.
fn missing_part(text: &str) -> String {
    match text.parse::<IpAddr>() {
        _ if text.parse::<u16>().is_ok() => {
            format!("write `localhost:{text}`, or `\"*:{text}\"` for every address")
        }
        Ok(IpAddr::V6(ip)) => format!("add the port, like `[{ip}]:9000`"),
        Ok(IpAddr::V4(ip)) => format!("add the port, like `{ip}:9000`"),
        Err(_) if matches!(text, "localhost" | "*") => format!("add the port, like `{text}:9000`"),
        Err(_) => "write it like `localhost:9000`".to_owned(),
    }
}

/// Reads a port from `least` up.
pub(crate) fn parse_port(text: &str, least: u16) -> Result<u16, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.filter(|port| *port >= least).ok_or_else(|| {
        Invalid::new(
            format!("`{text}` is not a port"),
            format!("write a number from {least} to 65535"),
        )
    })
}

impl Written for ListenAddress {
    const WHAT: &'static str = "an address to listen on";
    const SCHEMA: &'static str = "ListenAddress";
    const DESCRIPTION: &'static str = "A host and a port. The host is an IP address (IPv6 in brackets), \
        `localhost` for both loopback addresses, or `*` for every address; port 0 takes a free one.";
    const PATTERN: &'static str = r"(?:localhost|\*|[0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}";
    const EXAMPLES: &'static [&'static str] = &["localhost:9000", "*:9000", "[::1]:9000"];
}

/// The address of a name server; the port is 53 where none is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsServer(pub SocketAddr);

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DnsServer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(ip, 53)));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() > 0 => Ok(Self(address)),
            _ => {
                let help = "write its IP address, like `10.0.0.1` or `10.0.0.1:5353`";
                Err(Invalid::new(format!("`{text}` is not a name server"), help))
            }
        }
    }
}

impl Written for DnsServer {
    const WHAT: &'static str = "a name server";
    const SCHEMA: &'static str = "DnsServer";
    const DESCRIPTION: &'static str =
        "The IP address of a name server, with a port where it is not 53 (IPv6 then in brackets).";
    const PATTERN: &'static str =
        r"[0-9.]+(?::[0-9]{1,5})?|[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}";
    const EXAMPLES: &'static [&'static str] = &["10.0.0.1", "127.0.0.1:5353"];
}

written!(ListenAddress, DnsServer);

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`Taken`] finds by look-ups, by comparing a listener with each one before it.
    fn first_that_collides(before: &[ListenAddress], address: &ListenAddress) -> Option<usize> {
        let shares = |a: SocketAddr, b: SocketAddr| {
            let either = a.ip().is_unspecified() || b.ip().is_unspecified();
            a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && (a.ip() == b.ip() || either)
        };
        before.iter().position(|earlier| {
            let (earlier, own) = (earlier.sockets(), address.sockets());
            let shared = |a: &SocketAddr| own.iter().any(|b| shares(*a, *b));
            address.port != 0 && earlier.iter().any(shared)
        })
    }

    #[test]
    fn a_listener_is_taken_by_the_first_that_shares_an_address_with_it() {
        let hosts = [
            "localhost",
            "*",
            "127.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "[::]",
            "[::1]",
            "[::2]",
        ];
        let all = hosts.iter().flat_map(|host| {
            let address = |port| format!("{host}:{port}").parse::<ListenAddress>().unwrap();
            [0, 1, 2].map(address)
        });
        let all: Vec<ListenAddress> = all.collect();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let chosen: Vec<_> = (0..6)
                .filter_map(|_| random.choice(&all).copied())
                .collect();
            let mut taken = Taken::default();
            for (number, address) in chosen.iter().enumerate() {
                let expected = first_that_collides(&chosen[..number], address);
                assert_eq!(
                    taken.take(number, address),
                    expected,
                    "{chosen:?}, {number}"
                );
            }
        }
    }
}
