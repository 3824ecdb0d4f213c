//! What a running process looks like at a moment, as the page draws it.
//!
//! A snapshot is bounded: of many endpoints it holds those that are in trouble first.

use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;
use tokio::time::Instant;

use super::rates::{Count, History, Latency, Rates};
use crate::admin::{EntryView, View, process};
use crate::balance::{Endpoint, EndpointSet, Standing};
use crate::lifecycle::Phase;
use crate::resilience::retry::Budget;
use crate::telemetry::{Failure, timestamp};

/// The most endpoints of an entry that are told one by one.
const ENDPOINTS: usize = 100;

/// The most bytes of what a reload was rejected for.
const ERRORS: usize = 2000;

#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    role: &'static str,
    version: &'static str,
    at: String,
    draining: bool,
    /// What readiness waits for; empty when ready.
    unready: Vec<String>,
    reload: Reload,
    memory_bytes: Option<f64>,
    cpu_seconds: Option<f64>,
    access_log_dropped: u64,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Reload {
    succeeded: bool,
    errors: Option<String>,
    ok: u64,
    rejected: u64,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    is_tcp: bool,
    listens: Vec<String>,
    leads_to: Vec<String>,
    in_flight: i64,
    totals: Count,
    rates: Option<Rates>,
    latency_ms: Option<Latency>,
    budget: Option<Left>,
    discovery: Discovery,
    checks: Option<Checks>,
    /// Why what the files of certificates hold is not in use.
    tls_rejected: Option<String>,
    endpoints: Vec<Shown>,
    endpoints_known: usize,
    endpoints_available: usize,
    failures: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Left {
    left: f64,
    most: f64,
    floor: u64,
}

#[derive(Debug, Serialize)]
struct Discovery {
    settled: bool,
    stale: bool,
    why: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Checks {
    heeded: bool,
    failing: usize,
    ok: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
struct Shown {
    address: String,
    authority: String,
    weight: u32,
    tier: u16,
    state: &'static str,
    /// Of a returning endpoint, 0 to 1.
    share: Option<f64>,
    /// Of an ejected endpoint.
    back_in_s: Option<f64>,
    check: Option<String>,
    in_flight: u32,
    latency_ms: f64,
}

#[derive(Debug, Serialize)]
struct Failed {
    at: String,
    reason: &'static str,
    detail: String,
    endpoint: Option<String>,
    tries: u64,
    told: u64,
}

/// Looks at the process, and at what has changed since `history` was written last.
pub(super) fn take(view: &View, history: &mut History, now: Instant) -> Snapshot {
    let entries = view.entries.load();
    history.keep(&entries);
    let readings = process::readings();
    let reading = |name| {
        let mut all = readings.iter();
        all.find(|(other, ..)| *other == name)
            .map(|(.., value)| *value)
    };
    Snapshot {
        role: view.role,
        version: env!("CARGO_PKG_VERSION"),
        at: timestamp(std::time::SystemTime::now()),
        draining: view.lifecycle.phase() > Phase::Running,
        unready: view.unready(),
        reload: Reload {
            succeeded: view.reload_succeeded.load(Relaxed),
            errors: view.reload_errors.load().as_ref().map(|errors| cut(errors)),
            ok: view.reloads.load(Relaxed),
            rejected: view.reloads_rejected.load(Relaxed),
        },
        memory_bytes: reading("process_resident_memory_bytes"),
        cpu_seconds: reading("process_cpu_seconds_total"),
        access_log_dropped: view.access_log.dropped(),
        entries: entries
            .iter()
            .map(|entry| look_at(entry, history, now))
            .collect(),
    }
}

fn cut(errors: &str) -> String {
    errors
        .char_indices()
        .take_while(|(at, _)| *at < ERRORS)
        .map(|(_, c)| c)
        .collect()
}

fn look_at(entry: &EntryView, history: &mut History, now: Instant) -> Entry {
    let totals = entry.telemetry.totals();
    let count = Count::of(entry, &totals);
    let (rates, latency_ms) = history.read(&entry.telemetry, &count, now);
    let in_flight = if entry.is_tcp {
        &totals.downstream_connections
    } else {
        &totals.in_flight
    };
    let (endpoints, endpoints_known, endpoints_available) = endpoints(&entry.endpoints);
    Entry {
        name: entry.telemetry.name().to_string(),
        is_tcp: entry.is_tcp,
        listens: entry.listens.iter().map(ToString::to_string).collect(),
        leads_to: entry.leads_to.clone(),
        in_flight: in_flight.load(Relaxed),
        totals: count,
        rates,
        latency_ms,
        budget: entry.budget.as_ref().map(|budget| Left {
            left: budget.left().min(Budget::MOST),
            most: Budget::MOST,
            floor: budget.floor(),
        }),
        discovery: discovery(entry),
        checks: entry.is_checked.then(|| checks(&entry.endpoints)),
        tls_rejected: entry.acceptor.as_ref().and_then(|acceptor| {
            let why = acceptor.rejected()?;
            Some(cut(&why))
        }),
        endpoints,
        endpoints_known,
        endpoints_available,
        failures: entry.telemetry.failures().into_iter().map(failed).collect(),
    }
}

fn discovery(entry: &EntryView) -> Discovery {
    let failures = entry.resolutions.iter();
    let failures = failures.filter_map(|resolution| {
        let resolution = resolution.borrow();
        resolution
            .failure
            .as_ref()
            .map(|failure| failure.text.clone())
    });
    let why: Vec<String> = failures.collect();
    Discovery {
        settled: entry.endpoints.is_settled(),
        stale: !why.is_empty(),
        why,
    }
}

fn checks(set: &EndpointSet) -> Checks {
    let (ok, failed) = set.checks();
    let endpoints = set.endpoints();
    Checks {
        heeded: set.heeds_checks(),
        failing: endpoints
            .iter()
            .filter(|endpoint| endpoint.is_unhealthy())
            .count(),
        ok,
        failed,
    }
}

/// Those to show, how many there are, and how many of those take requests.
fn endpoints(set: &EndpointSet) -> (Vec<Shown>, usize, usize) {
    let all = set.endpoints();
    let standings = all.iter().map(|e| (e, e.standing(set.eject_params())));
    let mut known: Vec<_> = standings.collect();
    let takes = |standing: &Standing| match standing {
        Standing::Available | Standing::Returning(_) => true,
        Standing::Unhealthy => !set.heeds_checks(),
        Standing::Ejected(_) => false,
    };
    let available = known.iter().filter(|(_, standing)| takes(standing)).count();
    if known.len() > ENDPOINTS {
        known.sort_by_key(|(_, standing)| *standing == Standing::Available);
        known.truncate(ENDPOINTS);
    }
    let shown = known
        .into_iter()
        .map(|(endpoint, standing)| shown(endpoint, standing));
    (shown.collect(), all.len(), available)
}

fn shown(endpoint: &Endpoint, standing: Standing) -> Shown {
    let (state, share, back_in_s) = match standing {
        Standing::Available => ("available", None, None),
        Standing::Returning(share) => ("returning", Some(share), None),
        Standing::Ejected(left) => ("ejected", None, Some(left.as_secs_f64())),
        Standing::Unhealthy => ("unhealthy", None, None),
    };
    Shown {
        address: endpoint.address().to_string(),
        authority: endpoint.authority().to_string(),
        weight: endpoint.weight(),
        tier: endpoint.tier(),
        state,
        share,
        back_in_s,
        check: endpoint.complaint().map(|text| cut(&text)),
        in_flight: endpoint.in_flight(),
        latency_ms: endpoint.latency().as_secs_f64() * 1e3,
    }
}

fn failed(failure: Failure) -> Failed {
    Failed {
        at: timestamp(failure.at),
        reason: failure.token(),
        endpoint: failure.endpoint.map(|address| address.to_string()),
        detail: failure.detail,
        tries: failure.tries,
        told: failure.told,
    }
}
