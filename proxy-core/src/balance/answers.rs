//! What an endpoint answered in the last moments, and whether that stands out from the others' answers.
//!
//! A gray failure shows only beside other endpoints: a share of failures, or a latency, that they do
//! not have. Latencies are kept as logarithms: their mean is the geometric one, which a few extreme
//! answers do not move, and a factor between two endpoints is a difference.

use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Half of the time for which answers count, in milliseconds.
const HALF_WINDOW: u64 = 5_000;

/// Answers that are compared at least: fewer say little.
const ENOUGH: u64 = 30;

/// And of the latest ones, which only have to agree.
const ENOUGH_LATEST: u64 = 10;

/// Standard errors that two means must differ by: less may be chance.
const CERTAIN: f64 = 4.0;

/// A difference in latency that is worth no ejection, in microseconds: another zone is no gray failure.
const NEGLIGIBLE: f64 = 20e3;

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
    pub(super) fn good(&self, at: u64) {
        self.half(at).all.fetch_add(1, Relaxed);
    }

    /// A failure came.
    pub(super) fn bad(&self, at: u64) {
        let half = self.half(at);
        half.all.fetch_add(1, Relaxed);
        half.bad.fetch_add(1, Relaxed);
    }

    /// An answer took so long, or longer than was waited for it.
    pub(super) fn took(&self, latency: Duration, at: u64) {
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

    /// The answers of the last moments.
    pub(super) fn recent(&self, at: u64) -> Window {
        let number = at / HALF_WINDOW;
        Window {
            whole: self.since(number.saturating_sub(1)),
            latest: self.since(number),
        }
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

/// The logarithm of a latency in steps, zero for a microsecond and less, by straight lines between the
/// powers of two.
fn logarithm(latency: Duration) -> u64 {
    let micros = u64::try_from(latency.as_nanos() / 1000)
        .unwrap_or(u64::MAX)
        .max(1);
    let doublings = u64::from(micros.ilog2());
    // The bits below the highest one: how far it is to the next power of two.
    let part = (micros << (63 - doublings) << 1) >> (64 - STEPS.ilog2());
    doublings * STEPS + part
}

/// The answers of one endpoint: of the last five to ten seconds, and the latest of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) whole: Recent,
    pub(super) latest: Recent,
}

impl Window {
    /// Whether these are so many times slower than those of another endpoint, and still are.
    pub(super) fn is_slower(self, factor: f64, other: Self) -> bool {
        self.whole.is_slower(factor, other.whole, ENOUGH)
            && self.latest.is_slower(factor, other.latest, ENOUGH_LATEST)
    }

    /// How long an answer typically took; none where too few came. The unit is of no importance.
    pub(super) fn typical(self) -> Option<f64> {
        (self.whole.timed >= ENOUGH).then(|| self.whole.mean())
    }
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
    /// Whether much more of these are failures than of what the other endpoints answered meanwhile.
    pub(super) fn fails_more(self, share: f64, others: Self) -> bool {
        if self.all < ENOUGH || others.all < ENOUGH {
            return false;
        }
        let own = self.share();
        own >= share && others.share() <= own / 2.0
    }

    fn share(self) -> f64 {
        self.bad as f64 / self.all.max(1) as f64
    }

    /// Whether these typically took `factor` times as long as those of `other`, by more than chance:
    /// what is asked of an endpoint may happen to be slow for a few requests.
    fn is_slower(self, factor: f64, other: Self, enough: u64) -> bool {
        if self.timed.min(other.timed) < enough {
            return false;
        }
        let (own, usual) = (self.mean(), other.mean());
        let worth = (own.exp2() - usual.exp2()) > NEGLIGIBLE;
        let spread = other.variance();
        let error = self.variance().max(spread) / self.timed as f64 + spread / other.timed as f64;
        let difference = own - usual;
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

    /// Answers that take these times, all of them in one half of the window.
    fn taking(millis: impl IntoIterator<Item = u64>) -> Window {
        let answers = Answers::default();
        for millis in millis {
            answers.took(Duration::from_millis(millis), 1);
        }
        answers.recent(1)
    }

    #[test]
    fn logarithms_are_true_to_a_step() {
        for micros in [1, 2, 3, 16, 17, 1_000, 1_500, 123_456_789, u64::MAX / 3] {
            let exact = (micros as f64).log2() * STEPS as f64;
            let kept = logarithm(Duration::from_micros(micros)) as f64;
            assert!((kept - exact).abs() < 2.0, "{micros}: {kept} {exact}");
        }
        assert_eq!(logarithm(Duration::ZERO), 0);
        logarithm(Duration::MAX);
    }

    #[test]
    fn a_slow_endpoint_is_slower() {
        let other = taking((0..100).map(|n| 2 + n % 3));
        assert!(taking([50; 30]).is_slower(5.0, other));
        assert!(!taking([50; 29]).is_slower(5.0, other), "too few");
        assert!(!taking([12; 50]).is_slower(5.0, other), "not slow enough");
        let near = taking([1; 100]);
        assert!(
            !taking([15; 50]).is_slower(5.0, near),
            "no great difference"
        );
    }

    #[test]
    fn what_is_over_is_not_slow() {
        let (own, other) = (Answers::default(), Answers::default());
        for _ in 0..50 {
            own.took(Duration::from_millis(100), 4_999);
            other.took(Duration::from_millis(2), 4_999);
        }
        assert!(own.recent(4_999).is_slower(5.0, other.recent(4_999)));
        for _ in 0..50 {
            own.took(Duration::from_millis(2), 5_000);
            other.took(Duration::from_millis(2), 5_000);
        }
        assert!(!own.recent(5_000).is_slower(2.0, other.recent(5_000)));
    }

    #[test]
    fn a_few_slow_requests_are_chance() {
        // One request in ten is a report that takes two seconds.
        let mixed = |n: u64| if n.is_multiple_of(10) { 2_000 } else { 2 };
        let other = taking((0..1000).map(mixed));
        let own = (0..36).map(|n| if n % 3 == 0 { 2_000 } else { 2 });
        assert!(!taking(own).is_slower(3.0, other));
        assert!(taking((0..200).map(|n| 40 * mixed(n))).is_slower(5.0, other));
    }

    #[test]
    fn answers_are_forgotten_after_ten_seconds() {
        let answers = Answers::default();
        answers.bad(1);
        answers.good(4_999);
        let all = |at| answers.recent(at).whole.all;
        assert_eq!((all(9_999), answers.recent(9_999).whole.bad), (2, 1));
        assert_eq!(all(10_000), 0);
        answers.bad(10_001);
        assert_eq!(all(10_001), 1);
        answers.forget();
        assert_eq!(all(10_001), 0);
    }
}
