//! Takes endpoints that fail out of the rotation for a while, and lets them back in slowly.
//!
//! Passive outlier ejection: failures of real requests, in a row, or in a share that stands out from
//! the other endpoints'. The share of endpoints that may
//! be out at once is capped, so that a failure of everything is not made worse by having nowhere to send.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::CheckParams;

/// When an endpoint is ejected and how it returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Consecutive failures after which an endpoint is ejected.
    pub failures: u32,
    /// The share of failures among the answers of the last moments, 0 to 1, from which an endpoint
    /// is ejected, if the others' is at most half of its own; none for never.
    pub share: Option<f64>,
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

/// Answers that a share is taken of at least: fewer say little.
const ENOUGH: u32 = 30;

/// Half of the time for which answers count, in milliseconds.
const HALF_WINDOW: u64 = 5_000;

/// The share of its traffic that an endpoint gets at the moment of its return.
const FIRST_SHARE: f64 = 0.1;

/// The health of one endpoint. Times are milliseconds since the endpoint was first seen, 0 for never.
#[derive(Debug)]
pub(super) struct Health {
    born: Instant,
    consecutive: AtomicU32,
    ejections: AtomicU32,
    ejected_until: AtomicU64,
    /// Whether it is out by its checks, and how many of those in a row say otherwise.
    unhealthy: AtomicBool,
    contrary: AtomicU32,
    /// What was answered in the present half of the window and in the one before.
    answers: [Answers; 2],
}

/// Answers of half a window.
#[derive(Debug, Default)]
struct Answers {
    half: AtomicU64,
    all: AtomicU32,
    bad: AtomicU32,
}

/// Answers of the last moments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    all: u32,
    bad: u32,
}

impl Recent {
    /// Whether these stand out from what the other endpoints answered meanwhile.
    pub(super) fn stands_out(self, share: f64, others: Self) -> bool {
        if self.all < ENOUGH || others.all < ENOUGH {
            return false;
        }
        let own = self.share();
        own >= share && others.share() <= own / 2.0
    }

    fn share(self) -> f64 {
        f64::from(self.bad) / f64::from(self.all.max(1))
    }
}

impl std::ops::AddAssign for Recent {
    fn add_assign(&mut self, other: Self) {
        self.all = self.all.saturating_add(other.all);
        self.bad = self.bad.saturating_add(other.bad);
    }
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
            unhealthy: AtomicBool::new(false),
            contrary: AtomicU32::new(0),
            answers: Default::default(),
        }
    }

    /// Whether it is out by its checks.
    pub(super) fn is_unhealthy(&self) -> bool {
        self.unhealthy.load(Relaxed)
    }

    /// Notes a check; true when it changes whether the endpoint is out.
    pub(super) fn checked(&self, well: bool, params: &CheckParams) -> bool {
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

    /// Counts an answer towards the share. Two workers that begin a window at once may lose one.
    pub(super) fn answered(&self, bad: bool, now: Instant) {
        let half = self.millis(now) / HALF_WINDOW;
        let answers = &self.answers[(half % 2) as usize];
        if answers.half.swap(half, Relaxed) != half {
            answers.all.store(0, Relaxed);
            answers.bad.store(0, Relaxed);
        }
        answers.all.fetch_add(1, Relaxed);
        if bad {
            answers.bad.fetch_add(1, Relaxed);
        }
    }

    /// The answers of the last five to ten seconds.
    pub(super) fn recent(&self, now: Instant) -> Recent {
        let half = self.millis(now) / HALF_WINDOW;
        let mut recent = Recent::default();
        for answers in &self.answers {
            if half - answers.half.load(Relaxed).min(half) <= 1 {
                recent += Recent {
                    all: answers.all.load(Relaxed),
                    bad: answers.bad.load(Relaxed),
                };
            }
        }
        recent
    }

    /// Forgets the answers: after an ejection they say nothing new.
    fn forget(&self) {
        for answers in &self.answers {
            answers.all.store(0, Relaxed);
            answers.bad.store(0, Relaxed);
        }
    }

    pub(super) fn succeeded(&self) {
        if self.consecutive.load(Relaxed) != 0 {
            self.consecutive.store(0, Relaxed);
        }
    }

    /// Counts a failure; true when it asks for an ejection. One failure suffices while the endpoint returns.
    pub(super) fn failed(&self, params: &Params, now: Instant) -> bool {
        let consecutive = self.consecutive.fetch_add(1, Relaxed) + 1;
        match self.state(params, now) {
            State::Available => consecutive >= params.failures,
            State::Returning(_) => true,
            State::Ejected => false,
        }
    }

    /// Ejects. Returns for how long.
    pub(super) fn eject(&self, params: &Params, now: Instant) -> Duration {
        let count = self.ejections.fetch_add(1, Relaxed) + 1;
        let period = (params.period * count).min(Params::LONGEST);
        self.consecutive.store(0, Relaxed);
        self.forget();
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

    /// How long an ejection still lasts.
    pub(super) fn out_for(&self, now: Instant) -> Duration {
        let until = self.ejected_until.load(Relaxed);
        Duration::from_millis(until.saturating_sub(self.millis(now)))
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.born).as_millis() as u64 + 1
    }
}
