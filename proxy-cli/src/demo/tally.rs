//! What callers saw: how long each answer took, and what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

/// Written by who calls, read by the screen.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<Duration>,
    failures: BTreeMap<String, u64>,
}

/// The tally at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests that have ended, well or not.
    pub requests: u64,
    /// Those that did not end well.
    pub failures: u64,
    /// Half of the requests were answered within this time.
    pub p50: Duration,
    /// 99 of 100 requests were answered within this time.
    pub p99: Duration,
}

impl Tally {
    /// Counts a request that took this long; an error is a failure and its text is kept.
    pub fn record(&self, latency: Duration, outcome: anyhow::Result<()>) {
        let mut seen = self.0.lock();
        seen.latencies.push(latency);
        if let Err(failure) = outcome {
            *seen.failures.entry(format!("{failure:#}")).or_default() += 1;
        }
    }

    /// The figures at this moment.
    pub fn sum(&self) -> Sum {
        let seen = self.0.lock();
        let failures = seen.failures.values().sum();
        let mut latencies = seen.latencies.clone();
        drop(seen);
        latencies.sort_unstable();
        Sum {
            requests: latencies.len() as u64,
            failures,
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
        }
    }

    /// Fails with what `who` saw, if that is anything but good answers.
    pub fn judge(&self, who: &str) -> anyhow::Result<()> {
        let kinds = self.failures();
        let kinds = kinds
            .iter()
            .map(|(kind, count)| format!("{count} x {kind}"));
        let kinds: Vec<String> = kinds.collect();
        anyhow::ensure!(
            kinds.is_empty(),
            "{who} saw what should not have been seen: {}",
            kinds.join("; ")
        );
        Ok(())
    }

    /// What failed, each kind with how often it did.
    pub fn failures(&self) -> Vec<(String, u64)> {
        self.0.lock().failures.clone().into_iter().collect()
    }
}

/// The smallest value that `rank` of 100 values do not exceed (the nearest rank); zero of none.
pub fn percentile(sorted: &[Duration], rank: usize) -> Duration {
    let place = (sorted.len() * rank).div_ceil(100);
    let value = sorted.get(place.saturating_sub(1));
    value.copied().unwrap_or_default()
}
