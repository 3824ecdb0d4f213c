//! How the orders of one certificate went, for whoever shows it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// There is a certificate.
    Obtained,
    /// The authority could not be asked.
    Unreachable,
    /// The authority has been asked too often.
    RateLimited,
    /// The authority did not see that a name leads here.
    Unverified,
    /// The authority refused for another reason.
    Refused,
    /// What came cannot be used.
    Unusable,
    /// The folder cannot be read or written.
    Storage,
}

impl Outcome {
    /// Every value, in the order of its discriminant.
    pub const ALL: [Self; 7] = [
        Self::Obtained,
        Self::Unreachable,
        Self::RateLimited,
        Self::Unverified,
        Self::Refused,
        Self::Unusable,
        Self::Storage,
    ];

    /// The metric label.
    pub fn token(self) -> &'static str {
        match self {
            Self::Obtained => "obtained",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate-limited",
            Self::Unverified => "unverified",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::Storage => "storage",
        }
    }
}

/// How it goes with one certificate.
#[derive(Debug, Default)]
pub struct Status {
    orders: [AtomicU64; Outcome::ALL.len()],
    failures: AtomicU64,
    next: AtomicI64,
}

impl Status {
    /// Counts an order of this process.
    pub fn count(&self, outcome: Outcome) {
        self.orders[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Notes how many orders in a row have failed, those of other replicas among them, and when the next one is
    /// due, in seconds since 1970.
    pub fn note(&self, failures: u32, next: i64) {
        self.failures.store(failures.into(), Relaxed);
        self.next.store(next, Relaxed);
    }

    /// How many orders of this process ended each way.
    pub fn orders(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let counts = self.orders.iter().map(|count| count.load(Relaxed));
        Outcome::ALL.into_iter().zip(counts)
    }

    /// Orders in a row that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// When the next order is due, in seconds since 1970; 0 before that is known.
    pub fn next(&self) -> i64 {
        self.next.load(Relaxed)
    }
}
