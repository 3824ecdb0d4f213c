//! What happens in a demo, and when.

use std::time::Duration;

/// The place in a list of acts, each with its time from the beginning, in order.
#[derive(Debug)]
pub struct Script<A: 'static> {
    acts: &'static [(Duration, A)],
    done: usize,
}

impl<A: Copy> Script<A> {
    /// The beginning of the list.
    pub fn new(acts: &'static [(Duration, A)]) -> Self {
        Self { acts, done: 0 }
    }

    /// The next act, if its time has come.
    pub fn due(&mut self, now: Duration) -> Option<A> {
        let (at, act) = self.acts.get(self.done)?;
        (now >= *at).then(|| {
            self.done += 1;
            *act
        })
    }
}
