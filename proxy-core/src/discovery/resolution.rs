//! What a source knows at a moment, and the source that always knows.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::LookupError;
use crate::address::Address;
use crate::fault::Reason;

/// Addresses that are logged of a new set, the first ones: there may be ten thousand.
const LOGGED: usize = 16;

/// One endpoint that a source found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where to connect.
    pub address: Address,
    /// Lower ones go first; higher ones serve while none of those can (RFC 2782's priority).
    pub tier: u16,
    /// Its share relative to the others of its tier, at least 1.
    pub weight: u32,
}

impl From<SocketAddr> for Found {
    fn from(address: SocketAddr) -> Self {
        Self::from(Address::from(address))
    }
}

impl From<Address> for Found {
    fn from(address: Address) -> Self {
        Self {
            address,
            tier: 0,
            weight: 1,
        }
    }
}

/// What a source knows at this moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolution {
    /// The last good set; empty before the first success.
    pub found: Arc<[Found]>,
    /// Why the latest look-up failed; none when it succeeded or none was made yet.
    pub failure: Option<LookupError>,
    /// Look-ups that succeeded.
    pub succeeded: u64,
    /// Look-ups that failed.
    pub failed: u64,
}

impl Resolution {
    /// Whether the first look-up has ended, well or not.
    pub fn is_settled(&self) -> bool {
        self.succeeded + self.failed > 0
    }

    /// Whether what is known, if anything, is older than the latest look-up.
    pub fn is_stale(&self) -> bool {
        self.failure.is_some()
    }

    /// The latest look-up found these; `partial` says why some may be missing. `name` is what is logged.
    ///
    /// An empty set is no good set: it counts as a look-up that failed, and what is known stays.
    pub fn accept(&mut self, name: &str, found: Vec<Found>, partial: Option<LookupError>) {
        if found.is_empty() {
            return self.reject(partial.unwrap_or_else(|| LookupError {
                reason: Reason::DestinationUnavailable,
                text: format!("{name} has no endpoint"),
            }));
        }
        self.hold(name, found);
        match partial {
            None => self.succeeded += 1,
            Some(_) => self.failed += 1,
        }
        self.failure = partial;
    }

    /// These are the endpoints from now on; whether they are others than before.
    pub fn hold(&mut self, name: &str, mut found: Vec<Found>) -> bool {
        found.sort_unstable();
        found.dedup();
        let others = *self.found != *found;
        if others {
            let addresses = found.iter().take(LOGGED).map(|found| &found.address);
            let addresses: Vec<&Address> = addresses.collect();
            tracing::info!(name, count = found.len(), ?addresses, "resolved");
            self.found = Arc::from(found);
        }
        others
    }

    /// The latest look-up failed: what is known stays.
    pub fn reject(&mut self, failure: LookupError) {
        self.failed += 1;
        self.failure = Some(failure);
    }
}

/// A source of addresses that never change.
pub fn fixed<A: Into<Found>>(
    addresses: impl IntoIterator<Item = A>,
) -> watch::Receiver<Resolution> {
    let resolution = Resolution {
        found: addresses.into_iter().map(Into::into).collect(),
        succeeded: 1,
        ..Resolution::default()
    };
    watch::Sender::new(resolution).subscribe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_never_replaces_a_good_one() {
        let mut resolution = Resolution::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        resolution.accept("users", vec![address.into(), address.into()], None);
        assert_eq!(*resolution.found, [Found::from(address)]);
        resolution.accept("users", Vec::new(), None);
        assert_eq!(*resolution.found, [Found::from(address)]);
        assert!(resolution.is_stale());
        assert_eq!((resolution.succeeded, resolution.failed), (1, 1));
    }
}
