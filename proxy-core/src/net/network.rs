//! A range of addresses.

use std::net::{IpAddr, Ipv6Addr};

/// The addresses that begin with the same bits as one (CIDR, RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    /// Of an IPv6 address.
    mask: u128,
}

impl Network {
    /// Those that have the first `prefix` bits of `address`.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let prefix = match address {
            IpAddr::V4(_) => prefix.min(32) + 96,
            IpAddr::V6(_) => prefix.min(128),
        };
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Self {
            address: wide(address) & mask,
            mask,
        }
    }

    /// Whether `address` is among them; an IPv4 address is itself, however it is written in IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        wide(address) & self.mask == self.address
    }
}

/// An IPv4 address as IPv6 has it (RFC 4291, section 2.5.5.2).
fn wide(address: IpAddr) -> u128 {
    let wide: Ipv6Addr = match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    wide.to_bits()
}
