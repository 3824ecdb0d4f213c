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
pub(super) const ACTS: &[(Duration, Act)] = &[
    (Duration::from_secs(3), Act::Kill),
    (Duration::from_millis(4500), Act::Forget),
    (Duration::from_secs(5), Act::Add),
];
