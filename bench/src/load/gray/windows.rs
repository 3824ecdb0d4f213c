//! Sums up what became of the requests that were due in a span of time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::ENDPOINTS;

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// The status; 0 where there was no whole answer.
    pub(super) status: u16,
    /// From when it was due to the end of its answer, whatever that was, or until it was given up.
    pub(super) took: Duration,
}

/// `{"requests","failed","why","p50","p99","p999","max","arrived"}`, times in milliseconds.
pub(super) fn sum(fates: &[Fate], arrived: [u64; ENDPOINTS]) -> Value {
    let mut why = BTreeMap::<String, u64>::new();
    for fate in fates.iter().filter(|fate| !is_good(fate)) {
        let name = match fate.status {
            0 => "no answer".to_owned(),
            status => status.to_string(),
        };
        *why.entry(name).or_default() += 1;
    }
    let mut sorted: Vec<Duration> = fates.iter().map(|fate| fate.took).collect();
    sorted.sort_unstable();
    let quantile = |share: f64| {
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        let value = sorted.get(rank.max(1) - 1)?;
        Some(value.as_secs_f64() * 1e3)
    };
    json!({
        "requests": fates.len(), "failed": why.values().sum::<u64>(), "why": why,
        "p50": quantile(0.5), "p99": quantile(0.99), "p999": quantile(0.999), "max": quantile(1.0),
        "arrived": arrived,
    })
}

fn is_good(fate: &Fate) -> bool {
    (200..300).contains(&fate.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_failures_by_kind_and_takes_the_time_of_all() {
        let fate = |status, millis| Fate {
            status,
            took: Duration::from_millis(millis),
        };
        let mut fates = vec![fate(200, 2); 97];
        fates.extend([fate(503, 1), fate(0, 5000), fate(200, 50)]);
        let sum = sum(&fates, [50, 30, 20]);
        assert_eq!(sum["requests"], 100);
        assert_eq!(sum["failed"], 2);
        assert_eq!(sum["why"], json!({"503": 1, "no answer": 1}));
        assert_eq!(sum["p50"], 2.0);
        assert_eq!(sum["p99"], 50.0);
        assert_eq!(sum["max"], 5000.0);
    }
}
