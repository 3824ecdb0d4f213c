//! What happened a second, and how long it took lately: differences between readings of the counters.
//!
//! Rates are of the time since the last reading; latencies are of the last [`WINDOW`] readings,
//! because a second holds too few requests for a percentile.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::admin::EntryView;
use crate::telemetry::{BOUNDS, Denied, EntryTelemetry, Histogram, Totals};

/// The readings that latencies are taken of.
const WINDOW: usize = 10;

/// Counters of one entry at a moment.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Count {
    /// Requests that have ended, or connections that were accepted.
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) retries: u64,
    /// Retries that the budget did not allow.
    pub(super) denied: u64,
    #[serde(skip)]
    pub(super) durations: [u64; BOUNDS.len() + 1],
}

impl Count {
    pub(super) fn of(entry: &EntryView, totals: &Totals) -> Self {
        let durations = totals.duration.counts();
        let denied = totals.denied().find(|(why, _)| *why == Denied::Budget);
        Self {
            requests: if entry.is_tcp {
                totals.downstream_accepted.load(Relaxed)
            } else {
                durations.iter().sum()
            },
            errors: totals.failed.load(Relaxed),
            retries: totals.retries().map(|(_, count)| count).sum(),
            denied: denied.map_or(0, |(_, count)| count),
            durations,
        }
    }
}

/// What happened a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) requests: f64,
    pub(super) errors: f64,
    pub(super) retries: f64,
    pub(super) denied: f64,
}

/// How long requests took of late, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// The last readings of every entry.
#[derive(Debug, Default)]
pub(super) struct History(HashMap<Arc<str>, Readings>);

#[derive(Debug)]
struct Readings {
    telemetry: Arc<EntryTelemetry>,
    last: VecDeque<(Instant, Count)>,
}

impl History {
    /// Takes a reading; there are no rates before the second one.
    pub(super) fn read(
        &mut self,
        telemetry: &Arc<EntryTelemetry>,
        count: &Count,
        now: Instant,
    ) -> (Option<Rates>, Option<Latency>) {
        let none = || Readings {
            telemetry: Arc::clone(telemetry),
            last: VecDeque::with_capacity(WINDOW + 1),
        };
        let name = Arc::clone(telemetry.name());
        let readings = self.0.entry(name).or_insert_with(none);
        if !Arc::ptr_eq(&readings.telemetry, telemetry) {
            // Another entry of that name: it counts from zero.
            *readings = none();
        }
        let last = &mut readings.last;
        let rates = last
            .back()
            .map(|(then, before)| rates(before, count, now - *then));
        let latency = last.front().and_then(|(_, before)| latency(before, count));
        if last.len() == WINDOW {
            last.pop_front();
        }
        last.push_back((now, count.clone()));
        (rates, latency)
    }

    /// Forgets entries that are gone.
    pub(super) fn keep(&mut self, entries: &[EntryView]) {
        let names = entries.iter().map(|entry| entry.telemetry.name());
        let names: HashSet<&Arc<str>> = names.collect();
        self.0.retain(|name, _| names.contains(name));
    }
}

fn rates(before: &Count, now: &Count, passed: Duration) -> Rates {
    let seconds = passed.as_secs_f64().max(0.001);
    let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    Rates {
        requests: rate(before.requests, now.requests),
        errors: rate(before.errors, now.errors),
        retries: rate(before.retries, now.retries),
        denied: rate(before.denied, now.denied),
    }
}

fn latency(before: &Count, now: &Count) -> Option<Latency> {
    let counts = std::array::from_fn(|bucket| {
        now.durations[bucket].saturating_sub(before.durations[bucket])
    });
    let at = |quantile| {
        let duration = Histogram::quantile_of(&counts, quantile)?;
        Some(duration.as_secs_f64() * 1e3)
    };
    Some(Latency {
        p50: at(0.5)?,
        p99: at(0.99)?,
    })
}
