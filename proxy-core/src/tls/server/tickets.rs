//! Makes session tickets for one set of rules for client certificates: they open under no other, nor when their client's has expired.
//!
//! What is sealed begins with the moment until which it is good, in seconds since 1970 (8 bytes).

use std::sync::Arc;

use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;

use super::keys::Keys;
use super::validity::{learn, learned};

/// The moment until which a ticket is good.
const UNTIL: usize = 8;

/// So many seconds before that it is not taken any more: what is valid when a handshake begins is valid at its end.
const HANDSHAKE: u64 = 10;

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
        let session = [&learned().to_be_bytes(), plain].concat();
        self.keys
            .seal(&session, &self.context, UnixTime::now().as_secs())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let now = UnixTime::now().as_secs();
        let opened = self.keys.open(cipher, &self.context, now)?;
        let (until, session) = opened.split_first_chunk::<UNTIL>()?;
        let until = u64::from_be_bytes(*until);
        // Without a session there is a whole handshake, and what has expired is refused as at any other time.
        if now.saturating_add(HANDSHAKE) > until {
            return None;
        }
        // The next ticket of this session is good no longer than this one.
        learn(until);
        Some(session.to_vec())
    }
}
