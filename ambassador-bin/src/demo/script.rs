//! What happens to the replicas, and when.

use std::time::Duration;

/// How long the workload runs.
pub(super) const LENGTH: Duration = Duration::from_secs(9);

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A replica dies without a word; its name still leads to it.
    Kill,
    /// The name server learns that it died.
    Forget,
    /// Another replica starts, and the name leads to it.
    Add,
}

/// Everything that happens, in order, counted from the workload's first request.
const ACTS: [(Duration, Act); 3] = [
    (Duration::from_secs(3), Act::Kill),
    (Duration::from_millis(4500), Act::Forget),
    (Duration::from_secs(5), Act::Add),
];

/// The place in the script.
#[derive(Debug, Default)]
pub(super) struct Script {
    done: usize,
}

impl Script {
    /// The next act, if its time has come.
    pub(super) fn due(&mut self, now: Duration) -> Option<Act> {
        let (at, act) = ACTS.get(self.done)?;
        (now >= *at).then(|| {
            self.done += 1;
            *act
        })
    }
}
