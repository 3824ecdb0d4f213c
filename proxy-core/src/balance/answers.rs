//! What an endpoint answered in the last moments, and whether that stands out from the others' answers.
//!
//! A gray failure shows only beside other endpoints: a share of failures, or a latency, that they do
//! not have. Latencies are kept as logarithms: their mean is the geometric one, which a few extreme
//! answers do not move, and a factor between two endpoints is a difference.

use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::EjectParams;

/// Half of the time for which answers count, in milliseconds.
const HALF_WINDOW: u64 = 5_000;

/// Answers that a share is taken of at least: fewer say little.
const ENOUGH: u64 = 30;

/// Latencies that are compared at least.
const ENOUGH_LATENCIES: u64 = 10;

/// Standard errors that two means must differ by: less may be chance.
const CERTAIN: f64 = 4.0;

/// A difference in latency that is worth no ejection, in nanoseconds: another zone is no gray failure.
const NEGLIGIBLE: f64 = 20e6;

/// Steps of a doubling in which logarithms are kept.
const STEPS: u64 = 16;

/// Why an endpoint stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// So many failures in a row.
    Row,
    /// A larger share of failures than the others'.
    Share,
    /// Slower than the others.
    Slow,
}

impl Cause {
    pub(super) const ALL: [Self; 3] = [Self::Row, Self::Share, Self::Slow];

    /// What it is called in metrics and logs.
    pub(super) const fn token(self) -> &'static str {
        match self {
            Self::Row => "failures",
            Self::Share => "share",
            Self::Slow => "slow",
        }
    }
}

/// Answers as they come. Times are milliseconds. Two workers that begin half a window at once may
/// lose a few.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The present half of the window, and the one before.
    halves: [Half; 2],
}

#[derive(Debug, Default)]
struct Half {
    number: AtomicU64,
    all: AtomicU64,
    bad: AtomicU64,
    /// Latencies, the sum of their logarithms, and that of their squares.
    timed: AtomicU64,
    sum: AtomicU64,
    squares: AtomicU64,
}

impl Half {
    fn clear(&self) {
        let all = [&self.all, &self.bad, &self.timed, &self.sum, &self.squares];
        all.iter().for_each(|number| number.store(0, Relaxed));
    }
}

impl Answers {
    /// A good answer came.
    pub(super) fn good(&self, latency: Duration, at: u64) {
        let half = self.half(at);
        half.all.fetch_add(1, Relaxed);
        half.time(latency);
    }

    /// A failure came.
    pub(super) fn bad(&self, at: u64) {
        let half = self.half(at);
        half.all.fetch_add(1, Relaxed);
        half.bad.fetch_add(1, Relaxed);
    }

    /// An answer was no longer waited for, after so long.
    pub(super) fn outrun(&self, latency: Duration, at: u64) {
        self.half(at).time(latency);
    }

    fn half(&self, at: u64) -> &Half {
        let number = at / HALF_WINDOW;
        let half = &self.halves[(number % 2) as usize];
        if half.number.load(Relaxed) != number {
            half.number.store(number, Relaxed);
            half.clear();
        }
        half
    }

    /// The answers of the present half of the window.
    pub(super) fn latest(&self, at: u64) -> Recent {
        self.since(at / HALF_WINDOW)
    }

    /// The answers of the last five to ten seconds.
    pub(super) fn recent(&self, at: u64) -> Recent {
        self.since((at / HALF_WINDOW).saturating_sub(1))
    }

    fn since(&self, number: u64) -> Recent {
        let mut recent = Recent::default();
        for half in &self.halves {
            if half.number.load(Relaxed) >= number {
                recent += Recent {
                    all: half.all.load(Relaxed),
                    bad: half.bad.load(Relaxed),
                    timed: half.timed.load(Relaxed),
                    sum: half.sum.load(Relaxed),
                    squares: half.squares.load(Relaxed),
                };
            }
        }
        recent
    }

    /// Forgets all of them: after an ejection they say nothing new.
    pub(super) fn forget(&self) {
        self.halves.iter().for_each(Half::clear);
    }
}

impl Half {
    fn time(&self, latency: Duration) {
        let steps = logarithm(latency);
        self.timed.fetch_add(1, Relaxed);
        self.sum.fetch_add(steps, Relaxed);
        self.squares.fetch_add(steps * steps, Relaxed);
    }
}

/// The logarithm of a latency in steps, by straight lines between the powers of two.
fn logarithm(latency: Duration) -> u64 {
    let nanos = u64::try_from(latency.as_nanos())
        .unwrap_or(u64::MAX)
        .max(STEPS);
    let doublings = u64::from(nanos.ilog2());
    // The bits below the highest one: how far it is to the next power of two.
    let part = (nanos >> (doublings - u64::from(STEPS.ilog2()))) - STEPS;
    doublings * STEPS + part
}

/// Answers of the last moments, of one endpoint or of several.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    all: u64,
    bad: u64,
    timed: u64,
    sum: u64,
    squares: u64,
}

impl Recent {
    /// Why these stand out from what the other endpoints answered meanwhile, if they do.
    pub(super) fn stands_out(self, params: &EjectParams, others: Self) -> Option<Cause> {
        let is_over = |share| self.fails_more(share, others);
        if params.share.is_some_and(is_over) {
            return Some(Cause::Share);
        }
        let slow = params.slow.map(f64::from)?;
        self.is_slower(slow, others).then_some(Cause::Slow)
    }

    fn fails_more(self, share: f64, others: Self) -> bool {
        if self.all < ENOUGH || others.all < ENOUGH {
            return false;
        }
        let own = self.share();
        own >= share && others.share() <= own / 2.0
    }

    fn share(self) -> f64 {
        self.bad as f64 / self.all.max(1) as f64
    }

    /// Whether answers typically take `factor` times as long as the others'. It must be more than
    /// chance: what is asked of an endpoint may happen to be slow for a few requests.
    fn is_slower(self, factor: f64, others: Self) -> bool {
        if self.timed.min(others.timed) < ENOUGH_LATENCIES {
            return false;
        }
        let (own, other) = (self.mean(), others.mean());
        let worth = (own.exp2() - other.exp2()) > NEGLIGIBLE;
        let spread = others.variance();
        let error = self.variance().max(spread) / self.timed as f64 + spread / others.timed as f64;
        let difference = own - other;
        worth && difference >= factor.log2() && difference >= CERTAIN * error.sqrt()
    }

    /// The mean of the logarithms to the base two.
    fn mean(self) -> f64 {
        self.sum as f64 / self.timed.max(1) as f64 / STEPS as f64
    }

    fn variance(self) -> f64 {
        let squares = self.squares as f64 / self.timed.max(1) as f64 / (STEPS * STEPS) as f64;
        (squares - self.mean().powi(2)).max(0.0)
    }
}

impl AddAssign for Recent {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.bad += other.bad;
        self.timed += other.timed;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// What is left of a sum without one of its terms.
impl Sub for Recent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            all: self.all - other.all,
            bad: self.bad - other.bad,
            timed: self.timed - other.timed,
            sum: self.sum - other.sum,
            squares: self.squares - other.squares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> EjectParams {
        EjectParams {
            failures: 5,
            share: Some(0.2),
            slow: Some(5),
            period: Duration::from_secs(10),
            at_most: 0.5,
            recover: Duration::from_secs(10),
        }
    }

    /// Answers that take these times.
    fn taking(millis: impl IntoIterator<Item = u64>) -> Recent {
        let answers = Answers::default();
        for millis in millis {
            answers.good(Duration::from_millis(millis), 1);
        }
        answers.recent(1)
    }

    fn cause(own: Recent, others: Recent) -> Option<Cause> {
        own.stands_out(&params(), others)
    }

    #[test]
    fn logarithms_are_true_to_a_step() {
        for nanos in [16, 17, 1_000, 1_500, 123_456_789, u64::MAX / 3] {
            let exact = (nanos as f64).log2() * STEPS as f64;
            let kept = logarithm(Duration::from_nanos(nanos)) as f64;
            assert!((kept - exact).abs() < 2.0, "{nanos}: {kept} {exact}");
        }
        assert_eq!(logarithm(Duration::ZERO), 4 * STEPS);
        logarithm(Duration::MAX);
    }

    #[test]
    fn a_slow_endpoint_stands_out() {
        let others = taking((0..100).map(|n| 2 + n % 3));
        assert_eq!(cause(taking([50; 10]), others), Some(Cause::Slow));
        assert_eq!(cause(taking([50; 9]), others), None, "too few");
        assert_eq!(cause(taking([12; 50]), others), None, "not slow enough");
        let near = taking([1; 100]);
        assert_eq!(cause(taking([15; 50]), near), None, "no great difference");
    }

    #[test]
    fn what_is_quick_anyhow_is_not_slow() {
        assert_eq!(cause(taking([5; 100]), taking([0; 100])), None);
    }

    #[test]
    fn a_few_slow_requests_are_chance() {
        // One request in ten is a report that takes two seconds.
        let mixed = |n: u64| if n.is_multiple_of(10) { 2_000 } else { 2 };
        let others = taking((0..1000).map(mixed));
        let own = taking([2_000, 2, 2_000, 2, 2, 2_000, 2, 2, 2_000, 2, 2, 2]);
        assert_eq!(cause(own, others), None);
        assert_eq!(
            cause(taking((0..200).map(|n| 40 * mixed(n))), others),
            Some(Cause::Slow)
        );
    }

    #[test]
    fn answers_are_forgotten_after_ten_seconds() {
        let answers = Answers::default();
        answers.bad(1);
        answers.good(Duration::from_millis(1), 4_999);
        assert_eq!(
            (answers.recent(9_999).all, answers.recent(9_999).bad),
            (2, 1)
        );
        assert_eq!(answers.recent(10_000).all, 0);
        answers.bad(10_001);
        assert_eq!(answers.recent(10_001).all, 1);
        answers.forget();
        assert_eq!(answers.recent(10_001).all, 0);
    }
}
