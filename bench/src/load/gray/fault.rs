//! What the failing endpoint does with a request.

use std::time::Duration;

use clap::ValueEnum;

/// How long an answer takes, at least.
const SERVICE: Duration = Duration::from_millis(2);
/// How much longer an answer may take, evenly.
const JITTER: Duration = Duration::from_micros(500);
/// How long a slow answer takes.
const SLOW: Duration = Duration::from_millis(100);
/// Half a period of what flaps.
const FLAP: Duration = Duration::from_secs(1);
/// The share of what fails, in percent.
const SHARE: u64 = 30;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// None: the baseline.
    Healthy,
    /// 503 at once for a second, well for a second, and so on.
    Flapping,
    /// Resets and refuses connections for a second, is well for a second, and so on.
    Refusing,
    /// Answers well after 100 ms.
    Slow,
    /// 503 at once to 30 % of the requests.
    Failing,
    /// Reads requests and never answers.
    Hanging,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A 200 after a while.
    Answer(Duration),
    /// A 503 at once.
    Refuse,
    /// Nothing.
    Hang,
}

impl Fault {
    /// All of them, the baseline first.
    pub(crate) const ALL: [Self; 6] = [
        Self::Healthy,
        Self::Flapping,
        Self::Refusing,
        Self::Slow,
        Self::Failing,
        Self::Hanging,
    ];

    /// The name on the command line and in tables.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What becomes of a request so long after the fault began.
    pub(super) fn deed(self, since: Duration, dice: &mut Dice) -> Deed {
        match self {
            Self::Flapping if is_down(since) => Deed::Refuse,
            Self::Failing if dice.below(100) < SHARE => Deed::Refuse,
            Self::Slow => Deed::Answer(SLOW + dice.jitter()),
            Self::Hanging => Deed::Hang,
            Self::Healthy | Self::Flapping | Self::Refusing | Self::Failing => healthy(dice),
        }
    }
}

/// Whether what flaps is down so long after it began to.
pub(super) fn is_down(since: Duration) -> bool {
    (since.as_millis() / FLAP.as_millis()).is_multiple_of(2)
}

/// What becomes of a request at an endpoint that is well.
pub(super) fn healthy(dice: &mut Dice) -> Deed {
    Deed::Answer(SERVICE + dice.jitter())
}

/// Random numbers that are the same in every run (xorshift64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn jitter(&mut self) -> Duration {
        Duration::from_micros(self.below(JITTER.as_micros() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fault: Fault, since: Duration) -> usize {
        let mut dice = Dice::new();
        let deeds = (0..10_000).map(|_| fault.deed(since, &mut dice));
        deeds.filter(|deed| *deed == Deed::Refuse).count()
    }

    #[test]
    fn what_flaps_begins_badly_and_changes_each_second() {
        for (millis, count) in [(0, 10_000), (999, 10_000), (1000, 0), (2000, 10_000)] {
            assert_eq!(
                refused(Fault::Flapping, Duration::from_millis(millis)),
                count
            );
        }
    }

    #[test]
    fn what_fails_does_so_by_its_share() {
        let count = refused(Fault::Failing, Duration::ZERO);
        assert!((2_800..3_200).contains(&count), "{count}");
        assert_eq!(refused(Fault::Slow, Duration::ZERO), 0);
    }
}
