//! One attempt at a time: who waited for one that failed shares its failure instead of failing in turn.

use parking_lot::Mutex;

use crate::fault::{Fault, Reason};

/// The line of those who need the same thing.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: tokio::sync::Mutex<()>,
    failed: Mutex<Failed>,
}

/// Attempts that failed: how many, and how the last one did.
#[derive(Debug, Default)]
struct Failed {
    count: u64,
    last: Option<(Reason, String)>,
}

impl Turns {
    /// What is there already, or what `attempt` makes when it is this one's turn.
    pub(super) async fn take<T, F>(
        &self,
        there: impl Fn() -> Option<T>,
        attempt: impl FnOnce() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        if let Some(found) = there() {
            return Ok(found);
        }
        let failures = self.failed.lock().count;
        let _turn = self.turn.lock().await;
        if let Some(found) = there() {
            return Ok(found);
        }
        self.shared_failure(failures)?;
        let made = attempt().await;
        if let Err(fault) = &made {
            let mut failed = self.failed.lock();
            failed.count += 1;
            failed.last = Some((fault.reason(), fault.story()));
        }
        made
    }

    /// The failure of an attempt that was made since `before`.
    fn shared_failure(&self, before: u64) -> Result<(), Fault> {
        let failed = self.failed.lock();
        match &failed.last {
            Some((reason, story)) if failed.count != before => {
                Err(Fault::unseen(*reason, story.clone()))
            }
            _ => Ok(()),
        }
    }
}
