//! The cost of sending one more request to an endpoint: its peak-EWMA latency times the requests it already has.
//!
//! Peak EWMA (from Finagle): a slower answer counts at once, a faster one gradually, so that an
//! endpoint that stalls is avoided from its first slow answer on. One that owes answers and gives none
//! is thought to take at least as long as it has been silent: what hangs is avoided before any timeout.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// How quickly old latencies are forgotten: an endpoint that was ten times slower than the others
/// once, as a first request on a new connection may be, is tried again after seven seconds.
const DECAY: Duration = Duration::from_secs(3);

/// The latency that an endpoint without an answer yet is thought to have, once it has a request, in nanoseconds.
const UNKNOWN: f64 = 1e9;

/// Latency and requests in flight of one endpoint.
#[derive(Debug)]
pub(super) struct Load {
    born: Instant,
    /// Nanoseconds, as the bits of an `f64`; 0 before the first answer.
    latency: AtomicU64,
    /// When `latency` was written, in nanoseconds since `born`.
    written: AtomicU64,
    in_flight: AtomicU32,
    /// Requests whose head of an answer has not come.
    owed: AtomicU32,
    /// Since when there has been one, in nanoseconds since `born`.
    owing: AtomicU64,
}

impl Load {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            latency: AtomicU64::new(0),
            written: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            owed: AtomicU32::new(0),
            owing: AtomicU64::new(0),
        }
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A request is sent, whose answer is waited for from `now` on.
    pub(super) fn ask(&self, now: Instant) {
        if self.owed.fetch_add(1, Relaxed) == 0 {
            self.owing.store(self.nanos(now), Relaxed);
        }
    }

    /// It is not waited for any more: it came, or it was given up.
    pub(super) fn answered(&self) {
        self.owed.fetch_sub(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// An answer took `latency`. Two workers that write at once may lose one sample, never corrupt the estimate.
    pub(super) fn observe(&self, latency: Duration, now: Instant) {
        let sample = latency.as_nanos() as f64;
        let old = f64::from_bits(self.latency.load(Relaxed));
        let new = if sample >= old {
            sample
        } else {
            sample + (old - sample) * self.fade(now)
        };
        self.written.store(self.nanos(now), Relaxed);
        self.latency.store(new.to_bits(), Relaxed);
    }

    /// The estimate at `now`, zero before the first answer. It fades while there is no answer, so
    /// that an endpoint that was slow once is tried again.
    pub(super) fn latency_at(&self, now: Instant) -> f64 {
        f64::from_bits(self.latency.load(Relaxed)) * self.fade(now)
    }

    /// The cost of one more request. `share` is the average weight divided by the endpoint's own: a
    /// heavier one may have more in flight for the same cost.
    pub(super) fn cost(&self, share: f64, now: Instant) -> f64 {
        let in_flight = f64::from(self.in_flight()) * share;
        let latency = self.latency_at(now);
        if latency == 0.0 && in_flight > 0.0 {
            UNKNOWN * in_flight
        } else {
            latency.max(self.silent_for(now)) * (in_flight + 1.0)
        }
    }

    /// For how long it has owed answers and given none, in nanoseconds.
    fn silent_for(&self, now: Instant) -> f64 {
        if self.owed.load(Relaxed) == 0 {
            return 0.0;
        }
        let since = self.owing.load(Relaxed).max(self.written.load(Relaxed));
        self.nanos(now).saturating_sub(since) as f64
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.born).as_nanos() as u64
    }

    /// What is left of the last estimate at `now`, 1 to 0.
    fn fade(&self, now: Instant) -> f64 {
        let written = self.written.load(Relaxed);
        let age = self.nanos(now).saturating_sub(written) as f64;
        (-age / DECAY.as_nanos() as f64).exp()
    }
}
