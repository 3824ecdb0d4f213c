//! Timers that are used again: one that is moved to a later time stays where it is in the runtime's
//! wheel, so that a request whose response comes in time costs it nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// Timers that are kept for requests to come. One that nobody takes goes off once, to no effect.
const KEPT: usize = 256;

/// The unused timers of one service. Clones share them; they belong to the runtime that they were first used on.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers(Arc<Mutex<Vec<Pin<Box<Sleep>>>>>);

/// One timer in use.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    home: Timers,
}

impl Timers {
    /// A timer that goes off at `deadline`.
    pub(super) fn start(&self, deadline: Instant) -> Timer {
        let unused = self.0.lock().pop();
        let sleep = match unused {
            Some(mut sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            None => Box::pin(sleep_until(deadline)),
        };
        Timer {
            sleep: Some(sleep),
            home: self.clone(),
        }
    }
}

impl Timer {
    /// Ready when the time has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Begins anew.
    pub(super) fn reset(&mut self, deadline: Instant) {
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(deadline);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(sleep) = self.sleep.take() else {
            return;
        };
        let mut kept = self.home.0.lock();
        if kept.len() < KEPT {
            kept.push(sleep);
        }
    }
}
