//! A range of addresses: `10.0.0.0/8`, or one address.

use std::{fmt, net::IpAddr, str::FromStr};

use super::written::{Invalid, Written, written};

/// The addresses that begin with the same bits (CIDR, RFC 4632). No bit behind the prefix is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// The bits that are the same: at most 32 of an IPv4 address, 128 of an IPv6 one.
    pub prefix: u8,
}

impl Network {
    fn first(address: IpAddr, prefix: u8) -> IpAddr {
        match address {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & mask).into())
            }
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            let help = "write an address, or a range such as `10.0.0.0/8` or `fd00::/8`";
            return Err(Invalid::new(
                format!("`{text}` is not a range of addresses"),
                help,
            ));
        };
        let most = bits(address);
        let prefix = match prefix {
            None => most,
            Some(prefix) => {
                let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
                let prefix = prefix
                    .parse()
                    .ok()
                    .filter(|prefix| digits && *prefix <= most);
                prefix.ok_or_else(|| {
                    let help = format!("write a number from 0 to {most} behind the `/`");
                    Invalid::new(format!("`{text}` is not a range of addresses"), help)
                })?
            }
        };
        let first = Self::first(address, prefix);
        if first != address {
            let message = format!("`{text}` has bits behind its prefix");
            return Err(Invalid::new(message, format!("write `{first}/{prefix}`")));
        }
        Ok(Self { address, prefix })
    }
}

impl Written for Network {
    const WHAT: &'static str = "a range of addresses";
    const SCHEMA: &'static str = "Network";
    const DESCRIPTION: &'static str = "An IP address, or a range of them: the first one, `/`, and the bits that all have in common.";
    const PATTERN: &'static str = r"[0-9.]+(?:/[0-9]{1,2})?|[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?";
    const EXAMPLES: &'static [&'static str] = &["10.0.0.0/8", "fd00::/8", "192.0.2.7"];
}

written!(Network);
