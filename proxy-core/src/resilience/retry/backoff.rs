//! The pause before a retry: exponential, with full jitter, capped.
//!
//! Full jitter draws from the whole of `0..=pause` ("Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015), so that callers that failed together do not return together.

use std::time::Duration;

/// Pauses between tries.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// The longest pause before the first retry; it doubles with each further one.
    pub base: Duration,
    /// No pause is longer.
    pub max: Duration,
}

/// 25 ms, at most 250 ms.
impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(25),
            max: Duration::from_millis(250),
        }
    }
}

impl Backoff {
    /// The pause before retry number `retry`, counted from 0.
    pub fn pause(&self, retry: u32) -> Duration {
        let longest = self
            .base
            .saturating_mul(2u32.saturating_pow(retry))
            .min(self.max);
        longest.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let backoff = Backoff {
            base: Duration::from_millis(25),
            max: Duration::from_millis(60),
        };
        for (retry, longest) in [(0, 25), (1, 50), (2, 60), (40, 60)] {
            let drawn = (0..1000).map(|_| backoff.pause(retry)).max().unwrap();
            assert!(drawn <= Duration::from_millis(longest));
            assert!(
                drawn > Duration::from_millis(longest) * 8 / 10,
                "{retry}: {drawn:?}"
            );
        }
    }
}
