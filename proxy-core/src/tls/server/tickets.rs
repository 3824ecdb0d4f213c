//! Makes session tickets for one set of rules for client certificates: they open under no other set.

use std::sync::Arc;

use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;

use super::keys::Keys;

/// Seals and opens tickets.
#[derive(Debug)]
pub(super) struct Ticketer {
    keys: Arc<Keys>,
    context: [u8; 32],
}

impl Ticketer {
    /// With keys that other sets of rules use as well: it is the `context` that keeps their tickets apart.
    pub(super) fn new(keys: Arc<Keys>, context: [u8; 32]) -> Self {
        Self { keys, context }
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.keys.life().try_into().unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys
            .seal(plain, &self.context, UnixTime::now().as_secs())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys
            .open(cipher, &self.context, UnixTime::now().as_secs())
    }
}
