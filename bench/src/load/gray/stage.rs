//! What the endpoints and the load share: when the fault began, and how many requests arrived.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::fault::{Deed, Dice, Fault, healthy, is_down};

/// How many endpoints there are.
pub(super) const ENDPOINTS: usize = 3;
/// The one that fails.
pub(super) const FAILING: usize = ENDPOINTS - 1;
/// Where proxies send health checks, which count apart.
const CHECK: &[u8] = b"/health";

/// One fault in one run.
#[derive(Debug)]
pub(super) struct Stage {
    fault: Fault,
    /// Whether health checks fare as requests do, or are always answered well.
    deep: bool,
    begun: OnceLock<Instant>,
    arrived: [AtomicU64; ENDPOINTS],
}

impl Stage {
    pub(super) fn new(fault: Fault, deep: bool) -> Self {
        Self {
            fault,
            deep,
            begun: OnceLock::new(),
            arrived: Default::default(),
        }
    }

    /// The fault begins now.
    pub(super) fn begin(&self) {
        self.begun.get_or_init(Instant::now);
    }

    /// Counts a request at an endpoint and says what becomes of it.
    pub(super) fn receive(
        &self,
        endpoint: usize,
        path: &[u8],
        now: Instant,
        dice: &mut Dice,
    ) -> Deed {
        let is_check = path == CHECK;
        if !is_check {
            self.arrived[endpoint].fetch_add(1, Relaxed);
        }
        match self.begun.get() {
            Some(begun) if endpoint == FAILING && (self.deep || !is_check) => {
                self.fault.deed(now.saturating_duration_since(*begun), dice)
            }
            _ => healthy(dice),
        }
    }

    /// Whether the failing endpoint is to have no listener and no connection now.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        let begun = self.begun.get().filter(|_| self.fault == Fault::Refusing);
        begun.is_some_and(|begun| is_down(now.saturating_duration_since(*begun)))
    }

    /// Requests that arrived so far, by endpoint.
    pub(super) fn arrived(&self) -> [u64; ENDPOINTS] {
        std::array::from_fn(|index| self.arrived[index].load(Relaxed))
    }
}
