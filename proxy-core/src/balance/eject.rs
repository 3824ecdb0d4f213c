//! Takes endpoints that fail out of the rotation for a while, and lets them back in slowly.
//!
//! Passive outlier ejection: failures of real requests in a row, or a share of failures or a latency
//! that stands out from the other endpoints' (`answers.rs`). The share of endpoints that may be out at
//! once is capped, so that a failure of everything is not made worse by having nowhere to send.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::CheckParams;
use super::answers::{Answers, Cause, Window};

/// When an endpoint is ejected and how it returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Consecutive failures after which an endpoint is ejected.
    pub failures: u32,
    /// The share of failures among the answers of the last moments, 0 to 1, from which an endpoint
    /// is ejected, if the others' is at most half of its own; none for never.
    pub share: Option<f64>,
    /// How many times as long as those of the middle one of the others its answers must typically
    /// take for an ejection, at least 2; none for never.
    pub slow: Option<u32>,
    /// How long the first ejection lasts; each further one in a row lasts that much longer, up to [`Params::LONGEST`].
    pub period: Duration,
    /// The share of the endpoints that may be ejected at once, 0 to 1.
    pub at_most: f64,
    /// How long the share of traffic of a returning endpoint takes to grow to its full size.
    pub recover: Duration,
}

impl Params {
    /// No ejection lasts longer.
    pub const LONGEST: Duration = Duration::from_secs(300);
}

/// The share of its traffic that an endpoint gets at the moment of its return.
const FIRST_SHARE: f64 = 0.1;

/// The health of one endpoint. Times are milliseconds since the endpoint was first seen, 0 for never.
#[derive(Debug)]
pub(super) struct Health {
    born: Instant,
    consecutive: AtomicU32,
    ejections: AtomicU32,
    ejected_until: AtomicU64,
    /// Why it was ejected last.
    cause: AtomicU8,
    /// Whether it is out by its checks, and how many of those in a row say otherwise.
    unhealthy: AtomicBool,
    /// Whether it has ever passed one.
    passed: AtomicBool,
    contrary: AtomicU32,
    answers: Answers,
}

/// Whether an endpoint takes requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    /// It takes all that it is picked for.
    Available,
    /// It takes this share of what it is picked for.
    Returning(f64),
    /// It takes none.
    Ejected,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            consecutive: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            cause: AtomicU8::new(0),
            unhealthy: AtomicBool::new(false),
            passed: AtomicBool::new(false),
            contrary: AtomicU32::new(0),
            answers: Answers::default(),
        }
    }

    /// Whether it is out by its checks.
    pub(super) fn is_unhealthy(&self) -> bool {
        self.unhealthy.load(Relaxed)
    }

    /// Whether it has passed a check, and is not out by later ones.
    pub(super) fn is_proven(&self) -> bool {
        self.passed.load(Relaxed) && !self.is_unhealthy()
    }

    /// Notes a check; true when it changes whether the endpoint is out.
    pub(super) fn checked(&self, well: bool, params: &CheckParams) -> bool {
        if well {
            self.passed.store(true, Relaxed);
        }
        if well != self.is_unhealthy() {
            self.contrary.store(0, Relaxed);
            return false;
        }
        let needed = if well {
            params.successes
        } else {
            params.failures
        };
        let changes = self.contrary.fetch_add(1, Relaxed) + 1 >= needed;
        if changes {
            self.contrary.store(0, Relaxed);
            self.unhealthy.store(!well, Relaxed);
        }
        changes
    }

    /// Lets the endpoint come back as after an ejection: with a small share at first.
    pub(super) fn return_slowly(&self, now: Instant) {
        self.ejected_until.store(self.millis(now), Relaxed);
    }

    /// When the endpoint was first seen.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// A good answer came after `latency`.
    pub(super) fn answered(&self, latency: Duration, now: Instant) {
        if !self.is_late(latency, now) {
            self.answers.good(self.millis(now));
        }
    }

    /// An answer took `latency`, or longer than that was waited for it.
    pub(super) fn took(&self, latency: Duration, now: Instant) {
        if !self.is_late(latency, now) {
            self.answers.took(latency, self.millis(now));
        }
    }

    /// Whether it is the answer to a request that was sent before the last ejection was over: that says
    /// nothing of how the endpoint is since.
    fn is_late(&self, latency: Duration, now: Instant) -> bool {
        let until = self.ejected_until.load(Relaxed);
        let sent = self.millis(now).saturating_sub(latency.as_millis() as u64);
        until != 0 && sent < until
    }

    /// The answers of the last moments.
    pub(super) fn recent(&self, now: Instant) -> Window {
        self.answers.recent(self.millis(now))
    }

    pub(super) fn succeeded(&self) {
        if self.consecutive.load(Relaxed) != 0 {
            self.consecutive.store(0, Relaxed);
        }
    }

    /// Counts a failure; true when it asks for an ejection. One failure suffices while the endpoint returns.
    pub(super) fn failed(&self, params: &Params, latency: Duration, now: Instant) -> bool {
        if self.is_late(latency, now) {
            return false;
        }
        self.answers.bad(self.millis(now));
        let consecutive = self.consecutive.fetch_add(1, Relaxed) + 1;
        match self.state(params, now) {
            State::Available => consecutive >= params.failures,
            State::Returning(_) => true,
            State::Ejected => false,
        }
    }

    /// Ejects. Returns for how long.
    pub(super) fn eject(&self, params: &Params, cause: Cause, now: Instant) -> Duration {
        self.cause.store(cause as u8, Relaxed);
        let count = self.ejections.fetch_add(1, Relaxed) + 1;
        let period = (params.period * count).min(Params::LONGEST);
        self.consecutive.store(0, Relaxed);
        self.answers.forget();
        self.ejected_until.store(self.millis(now + period), Relaxed);
        period
    }

    pub(super) fn state(&self, params: &Params, now: Instant) -> State {
        let until = self.ejected_until.load(Relaxed);
        if until == 0 {
            return State::Available;
        }
        let now = self.millis(now);
        if now < until {
            return State::Ejected;
        }
        let back = (now - until) as f64;
        let recover = params.recover.as_millis() as f64;
        if back < recover {
            return State::Returning(FIRST_SHARE + (1.0 - FIRST_SHARE) * back / recover);
        }
        // It stayed through its return: what happened before is forgotten.
        self.ejected_until.store(0, Relaxed);
        self.ejections.store(0, Relaxed);
        State::Available
    }

    /// Whether its last ejection was for this.
    pub(super) fn is_out_for(&self, cause: Cause) -> bool {
        self.cause.load(Relaxed) == cause as u8
    }

    /// How long an ejection still lasts.
    pub(super) fn out_for(&self, now: Instant) -> Duration {
        let until = self.ejected_until.load(Relaxed);
        Duration::from_millis(until.saturating_sub(self.millis(now)))
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.born).as_millis() as u64 + 1
    }
}
