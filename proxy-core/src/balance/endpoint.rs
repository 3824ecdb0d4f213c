//! One endpoint: its address, its weight, and what all workers know of its load and health.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use http::uri::Authority;
use tokio::time::Instant;

use super::eject::{Health, State};
use super::load::Load;
use super::{EjectParams, Target};
use crate::address::Address;

/// How a try ended, as far as its endpoint is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer that says nothing against the endpoint.
    Success,
    /// An answer of the kind that a broken endpoint gives, or none in time.
    Failure,
    /// No connection, or one that ended without an answer.
    Unreachable,
    /// None before another endpoint's: it takes at least as long as was waited for it.
    Outrun,
    /// Nothing can be said: the try was given up for a reason that lies elsewhere.
    Unknown,
}

/// What an endpoint takes at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// All that it is picked for.
    Available,
    /// This share of what it is picked for, 0 to 1.
    Returning(f64),
    /// Nothing for as long.
    Ejected(Duration),
    /// Nothing until it passes its checks, where these are heeded.
    Unhealthy,
}

/// One address of one target.
#[derive(Debug)]
pub struct Endpoint {
    target: Target,
    host: HeaderValue,
    load: Load,
    health: Health,
    /// What its latest check found wrong.
    complaint: ArcSwapOption<String>,
}

impl Endpoint {
    /// An endpoint of which nothing is known yet.
    pub fn new(target: Target) -> Arc<Self> {
        let host = HeaderValue::from_str(target.authority.as_str())
            .unwrap_or(HeaderValue::from_static(""));
        Arc::new(Self {
            target,
            host,
            load: Load::new(),
            health: Health::new(),
            complaint: ArcSwapOption::empty(),
        })
    }

    /// Where to connect.
    pub fn address(&self) -> &Address {
        &self.target.address
    }

    /// What it is called in `Host` and `:authority`.
    pub fn authority(&self) -> &Authority {
        &self.target.authority
    }

    /// The authority as a header value.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Its share relative to the other endpoints'.
    pub fn weight(&self) -> u32 {
        self.target.weight
    }

    /// Its tier: lower ones go first.
    pub fn tier(&self) -> u16 {
        self.target.tier
    }

    /// Requests that it has not answered in full.
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    /// The latency estimate.
    pub fn latency(&self) -> Duration {
        Duration::from_nanos(self.load.latency_at(Instant::now()) as u64)
    }

    /// Whether it is out of the rotation.
    pub fn is_ejected(&self, params: Option<&EjectParams>) -> bool {
        params.is_some_and(|params| self.health.state(params, Instant::now()) == State::Ejected)
    }

    /// Whether its checks say that it is out.
    pub fn is_unhealthy(&self) -> bool {
        self.health.is_unhealthy()
    }

    /// Whether it has passed a health check, and its checks do not say that it is out.
    pub fn is_proven(&self) -> bool {
        self.health.is_proven()
    }

    /// What it takes; one that is ejected and fails its checks is first of all ejected.
    pub fn standing(&self, params: Option<&EjectParams>) -> Standing {
        let now = Instant::now();
        let state = params.map_or(State::Available, |params| self.health.state(params, now));
        match state {
            State::Ejected => Standing::Ejected(self.health.out_for(now)),
            _ if self.is_unhealthy() => Standing::Unhealthy,
            State::Returning(share) => Standing::Returning(share),
            State::Available => Standing::Available,
        }
    }

    /// What its latest check found wrong; none after a good one.
    pub fn complaint(&self) -> Option<Arc<String>> {
        self.complaint.load_full()
    }

    pub(super) fn complain(&self, of: Option<String>) {
        if of.is_some() || self.complaint.load().is_some() {
            self.complaint.store(of.map(Arc::new));
        }
    }

    /// Counts as a request in flight until the guard is dropped.
    pub fn occupy(self: &Arc<Self>) -> Occupied {
        self.load.begin();
        Occupied(Arc::clone(self))
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether it takes a request that it was picked for. `heed`: its checks count.
    pub(super) fn admits(&self, params: Option<&EjectParams>, heed: bool, now: Instant) -> bool {
        if heed && self.health.is_unhealthy() {
            return false;
        }
        match params.map_or(State::Available, |params| self.health.state(params, now)) {
            State::Available => true,
            State::Returning(share) => fastrand::f64() < share,
            State::Ejected => false,
        }
    }
}

/// One request in flight on an endpoint, until dropped.
#[derive(Debug)]
pub struct Occupied(Arc<Endpoint>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.load.end();
    }
}
