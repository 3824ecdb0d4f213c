//! What a source knows at a moment, and the source that always knows.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::LookupError;

/// What a source knows at this moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolution {
    /// The last good set; empty before the first success.
    pub addresses: Arc<[SocketAddr]>,
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

    /// Whether the addresses are older than the latest look-up.
    pub fn is_stale(&self) -> bool {
        self.failure.is_some() && !self.addresses.is_empty()
    }
}

/// A source of addresses that never change.
pub fn fixed(addresses: impl Into<Arc<[SocketAddr]>>) -> watch::Receiver<Resolution> {
    let resolution = Resolution {
        addresses: addresses.into(),
        succeeded: 1,
        ..Resolution::default()
    };
    watch::Sender::new(resolution).subscribe()
}
