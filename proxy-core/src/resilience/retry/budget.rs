//! The retry budget: retries may be a share of the requests, plus a small floor for quiet services.
//!
//! Each request deposits its share, each retry withdraws one; what is not used lapses beyond
//! `SAVED` retries. Whatever happens, retries up to any moment are at most `share` times the requests up to it,
//! plus `floor` a second. Shared by all workers, without a lock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

/// The most retries that unused deposits are kept for.
const SAVED: i64 = 100;

/// One retry in the units of the balance.
const RETRY: i64 = 1000;

/// Retries that requests have earned and retries have not yet spent.
#[derive(Debug)]
pub struct Budget {
    deposit: i64,
    balance: AtomicI64,
    floor: u64,
    born: Instant,
    /// When the floor's next retry is due, in nanoseconds since `born`.
    floor_due: AtomicU64,
}

impl Budget {
    /// Retries of at most `share` (0 to 1, or more) of the requests, and of `floor` a second besides.
    pub fn new(share: f64, floor: u32) -> Self {
        Self {
            deposit: (share.max(0.0) * RETRY as f64) as i64,
            balance: AtomicI64::new(0),
            floor: floor.into(),
            born: Instant::now(),
            floor_due: AtomicU64::new(0),
        }
    }

    /// A request came.
    pub fn deposit(&self) {
        if self.balance.fetch_add(self.deposit, Relaxed) > SAVED * RETRY {
            self.balance.fetch_sub(self.deposit, Relaxed);
        }
    }

    /// Asks for one retry.
    pub fn withdraw(&self) -> bool {
        if self.balance.fetch_sub(RETRY, Relaxed) >= RETRY {
            return true;
        }
        self.balance.fetch_add(RETRY, Relaxed);
        self.withdraw_floor()
    }

    /// The most retries that can be left.
    pub const MOST: f64 = SAVED as f64;

    /// Retries a second that are allowed besides.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Retries that are left of the deposits.
    pub fn left(&self) -> f64 {
        self.balance.load(Relaxed).max(0) as f64 / RETRY as f64
    }

    /// The floor as a rate: retry n is due n/floor seconds after the first; an unused second is lost but for its last retry.
    fn withdraw_floor(&self) -> bool {
        let Some(gap) = 1_000_000_000u64.checked_div(self.floor) else {
            return false;
        };
        let now = self.born.elapsed().as_nanos() as u64 + gap;
        let due = self.floor_due.load(Relaxed);
        let next = due.max(now.saturating_sub(1_000_000_000)) + gap;
        next < now + gap
            && self
                .floor_due
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_the_share_of_the_requests() {
        let budget = Budget::new(0.2, 0);
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            while budget.withdraw() {
                retries += 1;
            }
        }
        assert_eq!(retries, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn unused_deposits_lapse() {
        let budget = Budget::new(0.2, 0);
        (0..100_000).for_each(|_| budget.deposit());
        let granted = (0..1000).filter(|_| budget.withdraw()).count();
        assert!((100..=101).contains(&granted), "{granted}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_floor_is_a_rate() {
        let budget = Budget::new(0.0, 10);
        let mut granted = 0;
        for _ in 0..3000 {
            granted += usize::from(budget.withdraw());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!((29..=31).contains(&granted), "{granted}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_hour_saves_one_second_of_the_floor() {
        let budget = Budget::new(0.0, 10);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 10);
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_of_what_was_deposited(share in 0.0f64..2.0, steps in prop::collection::vec(any::<bool>(), 0..500)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _inside = runtime.enter();
            let budget = Budget::new(share, 0);
            let (mut deposits, mut retries) = (0u32, 0u32);
            for deposit in steps {
                if deposit { budget.deposit(); deposits += 1; } else { retries += u32::from(budget.withdraw()); }
                prop_assert!(f64::from(retries) <= f64::from(deposits) * share + 1e-6);
            }
        }
    }
}
