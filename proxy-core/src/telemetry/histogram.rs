//! A histogram of durations with fixed bounds, written without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds in microseconds: 250 us to 60 s, about two a factor of five.
pub const BOUNDS: [u64; 17] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Counts of durations a bucket; the last bucket is unbounded.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = duration.as_micros().min(u128::from(u64::MAX)) as u64;
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// Adds another histogram's counts to these.
    pub fn merge(&self, other: &Self) {
        for (mine, theirs) in self.buckets.iter().zip(&other.buckets) {
            mine.fetch_add(theirs.load(Relaxed), Relaxed);
        }
        self.sum_micros
            .fetch_add(other.sum_micros.load(Relaxed), Relaxed);
    }

    /// Counts a bucket, not cumulative, the unbounded one last.
    pub fn counts(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|i| self.buckets[i].load(Relaxed))
    }

    /// The sum of all durations in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_micros.load(Relaxed) as f64 / 1e6
    }

    /// An estimate of the `quantile` (0 to 1), by linear interpolation within its bucket; none without a sample.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        Self::quantile_of(&self.counts(), quantile)
    }

    /// The same of counts a bucket, such as the difference of two readings.
    pub fn quantile_of(counts: &[u64; BOUNDS.len() + 1], quantile: f64) -> Option<Duration> {
        let total: u64 = counts.iter().sum();
        let wanted = quantile * total as f64;
        let mut below = 0u64;
        for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if (below + count) as f64 >= wanted {
                let low = if i == 0 { 0 } else { BOUNDS[i - 1] };
                let high = BOUNDS.get(i).copied().unwrap_or(low * 2);
                let share = (wanted - below as f64) / *count as f64;
                return Some(Duration::from_micros(
                    low + ((high - low) as f64 * share) as u64,
                ));
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_bucket_of_their_sample() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for _ in 0..99 {
            histogram.observe(Duration::from_micros(300));
        }
        histogram.observe(Duration::from_secs(7));
        let p50 = histogram.quantile(0.5).unwrap();
        assert!(
            p50 > Duration::from_micros(250) && p50 <= Duration::from_micros(500),
            "{p50:?}"
        );
        assert!(histogram.quantile(1.0).unwrap() > Duration::from_secs(5));
        assert_eq!(histogram.counts().iter().sum::<u64>(), 100);
    }

    #[test]
    fn a_bound_is_inclusive() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(250));
        assert_eq!(histogram.counts()[0], 1);
    }
}
