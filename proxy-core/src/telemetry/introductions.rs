//! How connections began that must begin with a header of the PROXY protocol, and how often each way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Introduction {
    /// With the addresses that it is passed on for.
    Proxied,
    /// With a header that says nothing of others: its own addresses count.
    Local,
    /// From a peer that may send no header.
    Untrusted,
    /// With something else than a header.
    Malformed,
    /// With no whole header in time.
    Timeout,
    /// It ended before its header did.
    Closed,
}

impl Introduction {
    /// Every value, in the order of its discriminant.
    pub const ALL: [Self; 6] = [
        Self::Proxied,
        Self::Local,
        Self::Untrusted,
        Self::Malformed,
        Self::Timeout,
        Self::Closed,
    ];

    /// The metric label.
    pub fn token(self) -> &'static str {
        match self {
            Self::Proxied => "proxied",
            Self::Local => "local",
            Self::Untrusted => "untrusted",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
        }
    }

    /// Whether the connection is to be served.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Proxied | Self::Local)
    }
}

/// Connections by how they began.
#[derive(Debug, Default)]
pub struct Introductions([AtomicU64; Introduction::ALL.len()]);

impl Introductions {
    /// Counts one.
    pub fn count(&self, introduction: Introduction) {
        self.0[introduction as usize].fetch_add(1, Relaxed);
    }

    /// How many began each way.
    pub fn all(&self) -> impl Iterator<Item = (Introduction, u64)> {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        Introduction::ALL.into_iter().zip(counts)
    }

    pub(super) fn add_to(&self, totals: &Self) {
        for (mine, total) in self.0.iter().zip(&totals.0) {
            total.fetch_add(mine.load(Relaxed), Relaxed);
        }
    }
}
