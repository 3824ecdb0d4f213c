//! Where an endpoint is reached: an IP address and a port, or the path of a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Where an endpoint is reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over the stream socket of this path.
    Unix(Arc<Path>),
}

impl Address {
    /// The address of TCP; none of a Unix socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// As `10.0.0.7:8080` or `unix:/run/app.sock`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// As it is shown.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl PartialEq<SocketAddr> for Address {
    fn eq(&self, other: &SocketAddr) -> bool {
        self.tcp() == Some(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_as_it_is_written_and_as_large_as_one_of_tcp() {
        let tcp = SocketAddr::from(([127, 0, 0, 1], 80));
        assert_eq!(Address::from(tcp), tcp);
        assert_eq!(Address::from(tcp).to_string(), "127.0.0.1:80");
        let unix = Address::Unix(Path::new("/run/app.sock").into());
        assert_eq!(
            format!("{unix} {unix:?}"),
            "unix:/run/app.sock unix:/run/app.sock"
        );
        assert_eq!(unix.tcp(), None);
        assert_eq!(size_of::<Address>(), size_of::<SocketAddr>());
    }
}
