//! What happens to the workload and the sidecar, and when.

use std::time::Duration;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The workload fails its health check; it answers requests all the same.
    FallIll,
    /// The workload passes its health check again.
    Recover,
    /// The sidecar drains, with a slow request in flight.
    Drain,
}

/// Everything that happens, in order, counted from the callers' first requests.
pub(super) const ACTS: &[(Duration, Act)] = &[
    (Duration::from_millis(1500), Act::FallIll),
    (Duration::from_secs(4), Act::Recover),
    (Duration::from_secs(6), Act::Drain),
];

/// The same where it is kept running until somebody ends it.
pub(super) const KEPT: &[(Duration, Act)] = ACTS.split_at(2).0;

/// How long after the drain has begun callers have heard of it, and call no more: less than `drain.delay`.
pub(super) const HEARD: Duration = Duration::from_secs(1);

/// `drain.delay`: how long everything is still served.
pub(super) const DELAY: &str = "2s";

/// How long the slow request takes: longer than that.
pub(super) const SLOW: Duration = Duration::from_secs(3);
