//! The life of a process: when it is ready, and that it drains.
//!
//! Readiness is a latch of named conditions; draining is a one-way switch that whoever serves can await.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// How far a drain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// Serving.
    #[default]
    Running,
    /// Not ready any more, yet everything is served; connections are asked to close after their response.
    Draining,
    /// Nothing new is accepted; idle connections close.
    Closing,
}

/// Readiness and drain of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    waiting: watch::Sender<BTreeSet<String>>,
    phase: watch::Sender<Phase>,
}

impl Lifecycle {
    /// A process that waits for nothing.
    pub fn new() -> Self {
        Self {
            waiting: watch::Sender::default(),
            phase: watch::Sender::new(Phase::Running),
        }
    }

    /// Not ready until [`Lifecycle::done`] is called with the same name.
    pub fn wait_for(&self, condition: &str) {
        self.waiting.send_modify(|waiting| {
            waiting.insert(condition.to_owned());
        });
    }

    /// The named condition holds, or no longer matters.
    pub fn done(&self, condition: &str) {
        self.waiting.send_modify(|waiting| {
            waiting.remove(condition);
        });
    }

    /// What readiness waits for: nothing when ready. A draining process is never ready.
    pub fn unready(&self) -> Vec<String> {
        if self.phase() > Phase::Running {
            return vec!["draining".to_owned()];
        }
        self.waiting.borrow().iter().cloned().collect()
    }

    /// Waits until it is ready; false when it drains instead.
    pub async fn ready(&self) -> bool {
        let (mut waiting, mut phase) = (self.waiting.subscribe(), self.phase.subscribe());
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase > Phase::Running) => false,
            _ = waiting.wait_for(BTreeSet::is_empty) => true,
        }
    }

    /// The phase at this moment.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Moves on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let later = phase > *current;
            if later {
                *current = phase;
            }
            later
        });
    }

    /// Sees every change of phase.
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_once_all_conditions_hold_and_never_again_while_draining() {
        let life = Lifecycle::new();
        life.wait_for("users");
        life.wait_for("cart");
        life.done("users");
        assert_eq!(life.unready(), ["cart"]);
        life.done("cart");
        assert!(life.unready().is_empty());
        life.advance(Phase::Draining);
        life.advance(Phase::Running);
        assert_eq!(life.unready(), ["draining"]);
    }

    #[tokio::test]
    async fn who_waits_for_readiness_hears_of_it_or_of_a_drain() {
        let life = Lifecycle::new();
        life.wait_for("users");
        let late = life.clone();
        let (ready, ()) = tokio::join!(life.ready(), async { late.done("users") });
        assert!(ready);
        life.wait_for("cart");
        let (ready, ()) = tokio::join!(life.ready(), async { late.advance(Phase::Draining) });
        assert!(!ready);
    }
}
