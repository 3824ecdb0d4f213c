//! The endpoints of one entry: fed by discovery, picked from by every worker.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::uri::Authority;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answers::Cause;
use super::compare::outliers;
use super::eject::State;
use super::subset::subset;
use super::{EjectParams, Endpoint, Outcome};
use crate::address::Address;
use crate::discovery::LookupError;
use crate::fault::{Fault, Reason};

/// No failure makes an endpoint look slower than this.
const WORST: Duration = Duration::from_secs(10);

/// What discovery found: one address under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: Address,
    /// What it is called in `Host` and `:authority`.
    pub authority: Authority,
    /// Its share relative to the other endpoints of its tier, at least 1.
    pub weight: u32,
    /// Endpoints of a higher tier serve while none of a lower one can.
    pub tier: u16,
}

/// The endpoints of one entry. Shared by all workers.
#[derive(Debug)]
pub struct EndpointSet {
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    version: AtomicU64,
    /// What it is called in the log.
    name: Arc<str>,
    eject: Option<EjectParams>,
    /// The most targets of a tier that are used.
    most: Option<usize>,
    /// By cause.
    ejections: [AtomicU64; Cause::ALL.len()],
    /// One endpoint is ejected at a time.
    ejecting: Mutex<Out>,
    /// Checks that were good, and that were not.
    checks: [AtomicU64; 2],
    /// Whether too many endpoints are out by their checks.
    unheeded: AtomicBool,
    born: Instant,
    /// When endpoints may be compared again, in milliseconds since `born`.
    compare_after: AtomicU64,
    /// Whether discovery has ended its first look-up, and why it found nothing.
    settled: watch::Sender<Option<Option<LookupError>>>,
}

/// The endpoints that are ejected, as they were counted last.
#[derive(Debug, Default)]
struct Out {
    count: usize,
    /// Those that are out for being slow.
    slow: usize,
    /// Of which endpoints.
    version: u64,
    /// When they are counted again, in milliseconds since the set was born.
    until: u64,
}

impl EndpointSet {
    /// An empty set; `eject` says when endpoints are taken out of the rotation, none for never.
    pub fn new(eject: Option<EjectParams>) -> Self {
        Self {
            endpoints: ArcSwap::from_pointee(Vec::new()),
            version: AtomicU64::new(0),
            name: Arc::from(""),
            eject,
            most: None,
            ejections: Default::default(),
            ejecting: Mutex::default(),
            checks: Default::default(),
            unheeded: AtomicBool::new(false),
            born: Instant::now(),
            compare_after: AtomicU64::new(0),
            settled: watch::Sender::new(None),
        }
    }

    /// The same under a name, which log lines bear.
    pub fn named(mut self, name: Arc<str>) -> Self {
        self.name = name;
        self
    }

    /// The same with at most so many endpoints of each tier, drawn by this process for itself; none
    /// for all of them.
    pub fn at_most(mut self, most: Option<usize>) -> Self {
        self.most = most;
        self
    }

    /// The same, beginning with the endpoints of another, and with what is known of them.
    pub fn after(self, other: &Self) -> Self {
        self.endpoints.store(other.endpoints());
        for (own, former) in self.ejections.iter().zip(&other.ejections) {
            own.store(former.load(Relaxed), Relaxed);
        }
        self
    }

    /// Replaces the targets. What is known of those that stay is kept.
    pub fn update(&self, targets: Vec<Target>, failure: Option<LookupError>) {
        let targets = match self.most {
            Some(most) => subset(targets, most),
            None => targets,
        };
        let old = self.endpoints.load();
        // Whatever failed, what served until now is better than nothing.
        let keeps = targets.is_empty() && failure.is_some() && !old.is_empty();
        let same = keeps
            || old.len() == targets.len() && old.iter().zip(&targets).all(|(e, t)| e.target() == t);
        if !same {
            let mut known: std::collections::HashMap<&Address, Vec<Arc<Endpoint>>> =
                Default::default();
            for endpoint in old.iter() {
                known
                    .entry(endpoint.address())
                    .or_default()
                    .push(Arc::clone(endpoint));
            }
            let keep = |target: &Target| {
                known
                    .get(&target.address)?
                    .iter()
                    .find(|e| e.target() == target)
                    .cloned()
            };
            let new = targets
                .into_iter()
                .map(|target| keep(&target).unwrap_or_else(|| Endpoint::new(target)));
            self.endpoints.store(Arc::new(new.collect()));
            self.version.fetch_add(1, Release);
        }
        self.settled.send_if_modified(|settled| {
            let changed = settled.as_ref() != Some(&failure);
            *settled = Some(failure);
            changed
        });
    }

    /// Changes whenever the endpoints do.
    pub fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// The endpoints at this moment.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// When endpoints are ejected.
    pub fn eject_params(&self) -> Option<&EjectParams> {
        self.eject.as_ref()
    }

    /// Ejections so far.
    pub fn ejections(&self) -> u64 {
        self.ejections.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// The same by cause.
    pub fn ejections_by_cause(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Cause::ALL.iter().zip(&self.ejections);
        counts.map(|(cause, count)| (cause.token(), count.load(Relaxed)))
    }

    /// Checks so far: good ones, and others.
    pub fn checks(&self) -> (u64, u64) {
        let [good, bad] = &self.checks;
        (good.load(Relaxed), bad.load(Relaxed))
    }

    /// Whether what the checks say counts: not while more than half of the endpoints fail them.
    pub fn heeds_checks(&self) -> bool {
        !self.unheeded.load(Relaxed)
    }

    pub(super) fn count_check(&self, good: bool) {
        self.checks[usize::from(!good)].fetch_add(1, Relaxed);
    }

    pub(super) fn weigh_checks(&self) {
        let endpoints = self.endpoints.load();
        let out = endpoints.iter().filter(|endpoint| endpoint.is_unhealthy());
        let too_many = out.count() * 2 > endpoints.len();
        if self.unheeded.swap(too_many, Relaxed) != too_many {
            if too_many {
                tracing::warn!(
                    entry = &*self.name,
                    "more than half of the endpoints fail their checks, which are not heeded"
                );
            } else {
                tracing::info!(
                    entry = &*self.name,
                    "the endpoints' checks are heeded again"
                );
            }
        }
    }

    pub(super) fn return_slowly(&self, endpoint: &Endpoint) {
        if self.eject.is_some() {
            endpoint.health().return_slowly(Instant::now());
        }
    }

    /// Waits until discovery has ended its first look-up, well or not.
    pub async fn settled(&self) {
        // The sender lives as long as `self`: this cannot fail.
        let _ = self.settled.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the first look-up has ended.
    pub fn is_settled(&self) -> bool {
        self.settled.borrow().is_some()
    }

    /// Why there is no endpoint.
    pub fn absence(&self) -> Fault {
        match &*self.settled.borrow() {
            Some(Some(failure)) => Fault::unseen(failure.reason, failure.text.clone()),
            Some(None) => {
                Fault::unseen(Reason::DestinationUnavailable, "the entry has no endpoint")
            }
            None => Fault::unseen(Reason::DnsTimeout, "the first look-up has not ended yet"),
        }
    }

    /// Records how a try on `endpoint` went that took `latency` up to `now`, to the head of its answer.
    pub fn record(&self, endpoint: &Endpoint, outcome: Outcome, latency: Duration, now: Instant) {
        match outcome {
            Outcome::Success => {
                endpoint.load().observe(latency, now);
                endpoint.health().answered(latency, now);
                self.note_latency(endpoint, latency, now);
            }
            Outcome::Failure | Outcome::Unreachable => {
                let asked = self
                    .eject
                    .as_ref()
                    .filter(|params| endpoint.health().failed(params, latency, now));
                let ejected =
                    asked.is_some_and(|params| self.eject(endpoint, params, Cause::Row, now));
                // A quick refusal must not look like a quick answer. An endpoint that answers badly is
                // avoided more and more. One that cannot be reached is not, as long as it may be
                // ejected: to be ejected it must first be tried.
                let is_avoided = outcome == Outcome::Failure
                    || self.eject.is_none()
                    || (asked.is_some() && !ejected);
                let factor = if is_avoided { 2.0 } else { 1.0 };
                let expected =
                    Duration::from_nanos((endpoint.load().latency_at(now) * factor) as u64);
                endpoint
                    .load()
                    .observe(latency.max(expected).min(WORST), now);
            }
            Outcome::Outrun => {
                let expected = Duration::from_nanos(endpoint.load().latency_at(now) as u64);
                // Nobody knows how long it would have taken: longer than is thought of it. Only what had
                // hardly been asked says nothing.
                let factor = if latency < expected / 2 { 1 } else { 2 };
                let latency = latency.max(expected * factor).min(WORST);
                endpoint.load().observe(latency, now);
                self.note_latency(endpoint, latency, now);
            }
            Outcome::Unknown => return,
        }
        if let Some(params) = &self.eject {
            self.compare(params, now);
        }
    }

    /// Keeps a latency, where latencies are compared.
    fn note_latency(&self, endpoint: &Endpoint, latency: Duration, now: Instant) {
        if self
            .eject
            .as_ref()
            .is_some_and(|params| params.slow.is_some())
        {
            endpoint.health().took(latency, now);
        }
    }

    /// Ejects endpoints that fail much more often than the others, or are much slower: gray failures,
    /// which failures in a row never show. Whoever records an answer does it for all, once in a while.
    fn compare(&self, params: &EjectParams, now: Instant) {
        let at = self.at(now);
        let due = self.compare_after.load(Relaxed);
        if at < due {
            return;
        }
        let endpoints = self.endpoints.load();
        // With ten thousand endpoints a look costs more, and comes more rarely.
        let next = at + 10 + endpoints.len() as u64 / 10;
        let mine = self
            .compare_after
            .compare_exchange(due, next, Relaxed, Relaxed);
        if mine.is_err() {
            return;
        }
        let heed = self.heeds_checks();
        for (endpoint, cause) in outliers(&endpoints, params, heed, (self.born, now)) {
            self.eject(&endpoint, params, cause, now);
        }
    }

    /// An answer of `endpoint` came to its end, and was good: its failures were not in a row.
    pub fn note_success(&self, endpoint: &Endpoint) {
        endpoint.health().succeeded();
    }

    fn eject(&self, endpoint: &Endpoint, params: &EjectParams, cause: Cause, now: Instant) -> bool {
        let mut out = self.ejecting.lock();
        let (version, endpoints, at) = (self.version(), self.endpoints.load(), self.at(now));
        let is_out = |e: &Endpoint| e.health().state(params, now) == State::Ejected;
        let is_slow = |e: &Endpoint| is_out(e) && e.health().is_out_for(Cause::Slow);
        // When ten thousand endpoints fail, they are not counted for each of them: one that returns
        // counts as ejected for up to a second more.
        if out.version != version || at >= out.until {
            *out = Out {
                count: endpoints.iter().filter(|e| is_out(e)).count(),
                slow: endpoints.iter().filter(|e| is_slow(e)).count(),
                version,
                until: at + endpoints.len() as u64 / 10,
            };
        }
        let allowed = (endpoints.len() as f64 * params.at_most).floor() as usize;
        let too_slow = cause == Cause::Slow && out.slow >= slow_ones(&endpoints);
        if allowed == 0 || too_slow || is_out(endpoint) {
            return false;
        }
        if out.count >= allowed {
            // What answers slowly is better than what does not.
            let displaces = cause != Cause::Slow && out.slow > 0;
            let mut slow = endpoints.iter().filter(|e| displaces && is_slow(e));
            let Some(better) = slow.next() else {
                return false;
            };
            better.health().return_slowly(now);
            out.count = out.count.saturating_sub(1);
            out.slow = out.slow.saturating_sub(1);
        }
        out.count += 1;
        out.slow += usize::from(cause == Cause::Slow);
        let period = endpoint.health().eject(params, cause, now);
        self.ejections[cause as usize].fetch_add(1, Relaxed);
        tracing::warn!(
            entry = &*self.name,
            address = %endpoint.address(),
            cause = cause.token(),
            ?period,
            "endpoint ejected"
        );
        true
    }

    /// Milliseconds since the set was born.
    fn at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_millis() as u64
    }
}

/// How many of the endpoints may be out for being slow: a quarter, or one of three.
fn slow_ones(endpoints: &[Arc<Endpoint>]) -> usize {
    (endpoints.len() / 4).max(usize::from(endpoints.len() == 3))
}
