//! What happens to the file and the services, and when.

use std::time::Duration;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The file is written anew: the blog's host leads to its next version.
    Release,
    /// The blog's former version is killed, as nobody needs it any more.
    Retire,
    /// The callers call no more, and the ingress drains.
    End,
}

/// Everything that happens, in order, counted from the callers' first requests.
pub(super) const ACTS: &[(Duration, Act)] = &[
    (Duration::from_secs(3), Act::Release),
    (Duration::from_secs(5), Act::Retire),
    (Duration::from_secs(8), Act::End),
];

/// The same where it is kept running until somebody ends it.
pub(super) const KEPT: &[(Duration, Act)] = ACTS.split_at(2).0;
