//! Leaves out an address family that no connection can be made to, while one can be made to the other.
//!
//! Happy Eyeballs (RFC 8305) for a set of endpoints: where both families are in an answer, both are
//! tried at once before the first request is sent to either. A host without IPv6 behind a name that
//! has both, or a service that listens on one of them, then costs no request a failed connection.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Found;
use crate::address::Address;

/// How long a family has to show that it can be connected to (RFC 8305 section 8: the Connection
/// Attempt Delay).
const DELAY: Duration = Duration::from_millis(250);

/// Addresses of a family that are tried: one of them suffices.
const TRIED: usize = 8;

/// How long it takes until what could not be connected to is tried again, at first; then it doubles.
const AGAIN: Duration = Duration::from_secs(5);

/// The longest that it takes.
const SELDOM: Duration = Duration::from_secs(20);

/// What is known of the families of one name.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// Whether both could be connected to once: from then on it is up to each endpoint.
    settled: bool,
    /// When they were tried last, and how long that holds.
    tried: Option<(Instant, Duration)>,
    /// The family that was left out then; none where neither could be connected to.
    out: Option<Family>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    IPv4,
    IPv6,
}

impl Family {
    /// None of a Unix socket.
    fn of(address: &Address) -> Option<Self> {
        Some(match address.tcp()? {
            SocketAddr::V4(_) => Self::IPv4,
            SocketAddr::V6(_) => Self::IPv6,
        })
    }
}

impl Families {
    /// When to ask again of the same answer: a family could not be connected to, or neither, and what they lead to may
    /// come later.
    pub(super) fn again(&self) -> Option<Instant> {
        let (tried, pause) = self.tried.filter(|_| !self.settled)?;
        Some(tried + pause)
    }

    /// Leaves out what is of no use in an answer for `name`.
    pub(super) async fn usable(&mut self, name: &str, mut found: Vec<Found>) -> Vec<Found> {
        let of = |family| -> Vec<SocketAddr> {
            let addresses = found.iter().map(|found| &found.address);
            let own = addresses.filter(|address| Family::of(address) == Some(family));
            own.filter_map(Address::tcp).take(TRIED).collect()
        };
        let (v4, v6) = (of(Family::IPv4), of(Family::IPv6));
        if v4.is_empty() || v6.is_empty() {
            *self = Self::default();
            return found;
        }
        let is_due = self.again().is_none_or(|again| again <= Instant::now());
        if is_due && !self.settled {
            self.probe(name, &v4, &v6).await;
        }
        found.retain(|found| self.out.is_none() || Family::of(&found.address) != self.out);
        found
    }

    async fn probe(&mut self, name: &str, v4: &[SocketAddr], v6: &[SocketAddr]) {
        let reached = tokio::join!(connects(v4), connects(v6));
        let out = match reached {
            (true, false) => Some(Family::IPv6),
            (false, true) => Some(Family::IPv4),
            _ => None,
        };
        match out {
            Some(family) if self.out != out => tracing::info!(
                name,
                "no connection can be made to its {family:?} addresses, which are left out"
            ),
            _ => {}
        }
        let pause = match self.tried {
            Some((_, pause)) if self.out == out => SELDOM.min(pause * 2),
            _ => AGAIN,
        };
        self.settled = reached == (true, true);
        self.tried = Some((Instant::now(), pause));
        self.out = out;
    }
}

/// Whether a connection to one of the addresses is made in time.
async fn connects(addresses: &[SocketAddr]) -> bool {
    let tries = addresses
        .iter()
        .map(|address| Box::pin(TcpStream::connect(*address)));
    matches!(timeout(DELAY, select_ok(tries)).await, Ok(Ok(_)))
}
