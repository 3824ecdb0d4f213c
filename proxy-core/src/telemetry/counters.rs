//! The counters of one entry: one set a worker, summed when read.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::{Failure, Failures, Handshakes, Histogram, Introductions};
use crate::fault::Reason;

/// Statuses of one first digit.
type Hundred = [AtomicU64; 100];

const REASONS: usize = Reason::ALL.len();

/// Why a retry that the conditions asked for was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Denied {
    /// The retry budget was empty.
    Budget,
    /// All attempts were used.
    Attempts,
    /// An upstream may have acted on a request that is not idempotent.
    Unsafe,
    /// More of the body was sent than is kept for replay.
    Body,
    /// The endpoint asked for too long a pause.
    RetryAfter,
}

impl Denied {
    /// Every value, in the order of its discriminant.
    pub const ALL: [Self; 5] = [
        Self::Budget,
        Self::Attempts,
        Self::Unsafe,
        Self::Body,
        Self::RetryAfter,
    ];

    /// The metric label.
    pub fn token(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Attempts => "attempts",
            Self::Unsafe => "unsafe",
            Self::Body => "body",
            Self::RetryAfter => "retry_after",
        }
    }
}

/// What one worker counts of one entry. All of it is written with relaxed atomics.
#[derive(Debug)]
pub struct EntryCounters {
    /// Responses by status, from 0 to 599: most entries see few of them, and there may be many entries.
    codes: [OnceLock<Box<Hundred>>; 6],
    faults: [AtomicU64; REASONS],
    retries: [AtomicU64; REASONS + 1],
    denied: [AtomicU64; Denied::ALL.len()],
    /// Second tries that were not the faster ones, and that were.
    hedges: [AtomicU64; 2],
    /// From the request's head to the end of the response's body.
    pub duration: Histogram,
    /// Requests whose answer was of 500 or more or cut short, or that ended with a fault; connections that led nowhere.
    pub failed: AtomicU64,
    /// The last failures.
    pub failures: Failures,
    /// Requests whose response has not ended.
    pub in_flight: AtomicI64,
    /// Requests sent to endpoints, retries included.
    pub tries: AtomicU64,
    /// Upstream connections made.
    pub connects: AtomicU64,
    /// Upstream connections that could not be made.
    pub connect_failures: AtomicU64,
    /// Open upstream connections.
    pub upstream_connections: AtomicI64,
    /// Open downstream connections.
    pub downstream_connections: AtomicI64,
    /// Downstream connections ever accepted.
    pub downstream_accepted: AtomicU64,
    /// Downstream connections that ended with a protocol error.
    pub downstream_errors: AtomicU64,
    /// TLS handshakes with clients.
    pub handshakes: Handshakes,
    /// Headers of the PROXY protocol.
    pub introductions: Introductions,
    /// Body bytes read from downstream.
    pub received: AtomicU64,
    /// Body bytes sent downstream.
    pub sent: AtomicU64,
}

impl Default for EntryCounters {
    fn default() -> Self {
        Self {
            codes: Default::default(),
            faults: Default::default(),
            retries: Default::default(),
            denied: Default::default(),
            hedges: Default::default(),
            duration: Histogram::default(),
            failed: AtomicU64::new(0),
            failures: Failures::default(),
            in_flight: AtomicI64::new(0),
            tries: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            connect_failures: AtomicU64::new(0),
            upstream_connections: AtomicI64::new(0),
            downstream_connections: AtomicI64::new(0),
            downstream_accepted: AtomicU64::new(0),
            downstream_errors: AtomicU64::new(0),
            handshakes: Handshakes::default(),
            introductions: Introductions::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }
}

impl EntryCounters {
    /// Counts a response of this status.
    pub fn response(&self, status: http::StatusCode) {
        self.add_responses(usize::from(status.as_u16()), 1);
    }

    fn add_responses(&self, code: usize, count: u64) {
        if let Some(hundred) = self.codes.get(code / 100) {
            let hundred = hundred.get_or_init(|| Box::new([const { AtomicU64::new(0) }; 100]));
            hundred[code % 100].fetch_add(count, Relaxed);
        }
    }

    /// Responses a status code, without the codes that never occurred.
    fn codes(&self) -> impl Iterator<Item = (usize, u64)> {
        let hundreds = self.codes.iter().zip((0..).step_by(100));
        let counts = hundreds.flat_map(|(hundred, first)| {
            let hundred = hundred.get().into_iter().flat_map(|all| all.iter());
            (first..).zip(hundred.map(|count| count.load(Relaxed)))
        });
        counts.filter(|(_, count)| *count > 0)
    }

    /// Counts a fault.
    pub fn fault(&self, reason: Reason) {
        self.faults[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts a retry after a fault, or after a response whose status asked for it (`None`).
    pub fn retry(&self, reason: Option<Reason>) {
        self.retries[reason.map_or(REASONS, |r| r as usize)].fetch_add(1, Relaxed);
    }

    /// Counts a retry that was asked for and not made.
    pub fn denied(&self, why: Denied) {
        self.denied[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts a second try that was sent beside a slow one, by whether its answer was taken.
    pub fn hedged(&self, won: bool) {
        self.hedges[usize::from(won)].fetch_add(1, Relaxed);
    }

    fn add_to(&self, totals: &Self) {
        for (code, count) in self.codes() {
            totals.add_responses(code, count);
        }
        let counters = self.faults.iter().zip(&totals.faults);
        let counters = counters.chain(self.retries.iter().zip(&totals.retries));
        let counters = counters.chain(self.denied.iter().zip(&totals.denied));
        let counters = counters.chain(self.hedges.iter().zip(&totals.hedges));
        let counters = counters.chain([
            (&self.failed, &totals.failed),
            (&self.tries, &totals.tries),
            (&self.connects, &totals.connects),
            (&self.connect_failures, &totals.connect_failures),
            (&self.downstream_accepted, &totals.downstream_accepted),
            (&self.downstream_errors, &totals.downstream_errors),
            (&self.received, &totals.received),
            (&self.sent, &totals.sent),
        ]);
        for (mine, total) in counters {
            total.fetch_add(mine.load(Relaxed), Relaxed);
        }
        let gauges = [
            (&self.in_flight, &totals.in_flight),
            (&self.upstream_connections, &totals.upstream_connections),
            (&self.downstream_connections, &totals.downstream_connections),
        ];
        for (mine, total) in gauges {
            total.fetch_add(mine.load(Relaxed), Relaxed);
        }
        totals.duration.merge(&self.duration);
        self.handshakes.add_to(&totals.handshakes);
        self.introductions.add_to(&totals.introductions);
    }
}

/// The counters of one entry over all workers.
#[derive(Debug)]
pub struct EntryTelemetry {
    name: Arc<str>,
    workers: Vec<Arc<EntryCounters>>,
}

impl EntryTelemetry {
    /// Counters for `workers` workers.
    pub fn new(name: impl Into<Arc<str>>, workers: usize) -> Self {
        Self {
            name: name.into(),
            workers: (0..workers.max(1)).map(|_| Arc::default()).collect(),
        }
    }

    /// The entry's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The counters that worker number `index` writes to.
    pub fn worker(&self, index: usize) -> &Arc<EntryCounters> {
        &self.workers[index % self.workers.len()]
    }

    /// The last failures of all workers, the latest first.
    pub fn failures(&self) -> Vec<Failure> {
        Failures::merged(self.workers.iter().map(|worker| &worker.failures))
    }

    /// The sum over all workers at this moment.
    pub fn totals(&self) -> Totals {
        let sum = EntryCounters::default();
        self.workers.iter().for_each(|worker| worker.add_to(&sum));
        Totals(sum)
    }
}

/// A sum of counters, no longer written to.
#[derive(Debug)]
pub struct Totals(EntryCounters);

impl Totals {
    /// Responses a status code, without the codes that never occurred.
    pub fn codes(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.codes().map(|(code, count)| (code as u16, count))
    }

    /// Faults a reason.
    pub fn faults(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .iter()
            .map(|reason| (*reason, self.0.faults[*reason as usize].load(Relaxed)))
    }

    /// Retries by the reason's token; `status` for those that a response's status asked for.
    pub fn retries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let tokens = Reason::ALL
            .iter()
            .map(|reason| reason.token())
            .chain(["status"]);
        tokens
            .zip(&self.0.retries)
            .map(|(token, count)| (token, count.load(Relaxed)))
    }

    /// Second tries, by what became of them.
    pub fn hedges(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.hedges.iter().map(|count| count.load(Relaxed));
        ["lost", "won"].into_iter().zip(counts)
    }

    /// Retries that were not made, by why.
    pub fn denied(&self) -> impl Iterator<Item = (Denied, u64)> {
        Denied::ALL
            .iter()
            .map(|why| (*why, self.0.denied[*why as usize].load(Relaxed)))
    }
}

impl std::ops::Deref for Totals {
    type Target = EntryCounters;

    fn deref(&self) -> &EntryCounters {
        &self.0
    }
}
