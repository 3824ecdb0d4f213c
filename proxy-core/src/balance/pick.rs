//! Picks one of a set of endpoints by a policy, around those that are ejected or were tried already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderMap;
use http::uri::Authority;
use tokio::time::Instant;

use super::ring::Ring;
use super::{EjectParams, Endpoint, Policy, Target};
use crate::address::Address;

/// Random draws before the whole set is searched for an endpoint that admits the request.
const DRAWS: usize = 4;

/// How many times dearer an endpoint must be to lose to another one of another weight.
const CLEARLY: f64 = 1.25;

/// Endpoints that are compared for the fewest requests: all of them, if there are no more.
const COMPARED: usize = 8;

/// How long a search that found none holds, in nanoseconds an endpoint: a thousand times what it took.
const BARREN: u64 = 10_000;

/// Turns that are passed over before the whole set is searched.
const PASSED_OVER: usize = 64;

/// The golden ratio: steps of this share of a circle visit it evenly, however often one stops.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// The endpoints at one moment, and what a policy needs to know of them.
pub(super) struct Picker {
    endpoints: Vec<Arc<Endpoint>>,
    /// Running sums of the weights, where they differ.
    weights: Option<Vec<u64>>,
    way: Way,
    born: Instant,
    /// Until then the set is not searched again, because none was found: nanoseconds since `born`.
    barren_until: AtomicU64,
}

enum Way {
    P2c,
    Least,
    RoundRobin { turn: AtomicU64, step: u64 },
    Hash(Ring),
}

/// What is asked of a pick.
pub(super) struct Wanted<'a> {
    pub(super) eject: Option<&'a EjectParams>,
    /// Whether what the checks say counts.
    pub(super) heed: bool,
    /// Avoided while there are others.
    pub(super) tried: &'a [Address],
    /// For a choice by hash.
    pub(super) key: Option<u64>,
}

/// The endpoint that a policy of hash gives to a request with these fields, when nothing is ejected and
/// nothing is in flight; none where the request has no key. Endpoints come with their weights.
pub fn owner(
    policy: &Policy,
    endpoints: &[(Address, u32)],
    headers: &HeaderMap,
) -> Option<Address> {
    let key = policy.key(Some(headers), None)?;
    let endpoints = endpoints.iter().map(|(address, weight)| {
        Endpoint::new(Target {
            address: address.clone(),
            authority: Authority::from_static("endpoint"),
            weight: *weight,
            tier: 0,
        })
    });
    let picker = Picker::new(endpoints.collect(), policy);
    let index = picker.pick(&Wanted {
        eject: None,
        heed: false,
        tried: &[],
        key: Some(key),
    })?;
    picker
        .endpoints()
        .get(index)
        .map(|endpoint| endpoint.address().clone())
}

impl Picker {
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, policy: &Policy) -> Self {
        let weights = running_sums(&endpoints);
        let circle = match &weights {
            Some(sums) => sums.last().copied().unwrap_or(1),
            None => endpoints.len() as u64,
        };
        let way = match policy {
            Policy::P2c => Way::P2c,
            Policy::Least => Way::Least,
            Policy::RoundRobin => Way::RoundRobin {
                // Workers begin at different places, so that they do not move in step.
                turn: AtomicU64::new(fastrand::u64(..circle.max(1))),
                step: match weights {
                    Some(_) => step(circle),
                    None => 1,
                },
            },
            Policy::Hash(_) => Way::Hash(Ring::new(&endpoints)),
        };
        Self {
            endpoints,
            weights,
            way,
            born: Instant::now(),
            barren_until: AtomicU64::new(0),
        }
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The index of the chosen endpoint; none where there is none that is neither ejected nor tried.
    pub(super) fn pick(&self, wanted: &Wanted<'_>) -> Option<usize> {
        if self.endpoints.is_empty() {
            return None;
        }
        let now = Instant::now();
        let admits = |index: &usize| {
            let endpoint = &self.endpoints[*index];
            !wanted.tried.contains(endpoint.address())
                && endpoint.admits(wanted.eject, wanted.heed, now)
        };
        if let [_] = self.endpoints[..] {
            return Some(0).filter(admits);
        }
        match (&self.way, wanted.key) {
            (Way::Least, _) => self.least(&admits, wanted),
            (Way::RoundRobin { turn, step }, _) => self.next((turn, *step), &admits, wanted),
            (Way::Hash(ring), Some(key)) => ring.pick(key, &self.endpoints, &admits),
            (Way::P2c | Way::Hash(_), _) => self.cheaper_of_two(&admits, wanted, now),
        }
    }

    /// One that is not tried, if there is one: an ejected one is better than none, a tried one too.
    pub(super) fn any(&self, tried: &[Address]) -> Option<usize> {
        (!self.endpoints.is_empty()).then(|| self.fallback(tried))
    }

    fn cheaper_of_two(
        &self,
        admits: &impl Fn(&usize) -> bool,
        wanted: &Wanted<'_>,
        now: Instant,
    ) -> Option<usize> {
        let first = self.draw(admits);
        let first = first.or_else(|| self.search(admits, wanted))?;
        let Some(sums) = &self.weights else {
            let cost = |index: usize| self.endpoints[index].load().cost(1.0, now);
            let second = self.draw_another(first, admits);
            let cheaper = second.filter(|second| cost(*second) < cost(first));
            return Some(cheaper.unwrap_or(first));
        };
        // Both are drawn by weight and may be the same, and only a clear difference counts: otherwise
        // comparing would take from the heavier what its weight gave it.
        let second = self.draw(admits).unwrap_or(first);
        let average = sums.last().copied().unwrap_or(1) as f64 / self.endpoints.len() as f64;
        let cost = |index: usize| {
            let endpoint = &self.endpoints[index];
            endpoint
                .load()
                .cost(average / f64::from(endpoint.weight()), now)
        };
        let is_cheaper = cost(second) * CLEARLY < cost(first);
        Some(if is_cheaper { second } else { first })
    }

    fn draw(&self, admits: &impl Fn(&usize) -> bool) -> Option<usize> {
        (0..DRAWS).map(|_| self.random()).find(admits)
    }

    /// Any but this one, of two or more that all weigh the same.
    fn draw_another(&self, than: usize, admits: &impl Fn(&usize) -> bool) -> Option<usize> {
        let others = self.endpoints.len() - 1;
        let another = |_| {
            let index = fastrand::usize(..others);
            index + usize::from(index >= than)
        };
        (0..DRAWS).map(another).find(admits)
    }

    /// Looks at every endpoint, from a random one on. Where none admits, it is a moment until the next
    /// search, so that while all are ejected a request costs no more than with few of them.
    fn search(&self, admits: &impl Fn(&usize) -> bool, wanted: &Wanted<'_>) -> Option<usize> {
        let at = self.born.elapsed().as_nanos() as u64;
        if at < self.barren_until.load(Relaxed) {
            return None;
        }
        let found = self.from(self.random()).find(admits);
        if found.is_none() && wanted.tried.is_empty() {
            let pause = BARREN * self.endpoints.len() as u64;
            self.barren_until.store(at + pause, Relaxed);
        }
        found
    }

    fn least(&self, admits: &impl Fn(&usize) -> bool, wanted: &Wanted<'_>) -> Option<usize> {
        let load = |index: &usize| {
            let endpoint = &self.endpoints[*index];
            f64::from(endpoint.in_flight() + 1) / f64::from(endpoint.weight())
        };
        let lighter = |one: usize, other: usize| {
            if load(&other) < load(&one) {
                other
            } else {
                one
            }
        };
        // From a random place on, so that equal ones get equal shares.
        let start = fastrand::usize(..self.endpoints.len());
        if self.endpoints.len() <= COMPARED {
            return self.from(start).filter(admits).reduce(lighter);
        }
        let drawn = (0..COMPARED).map(|_| fastrand::usize(..self.endpoints.len()));
        drawn
            .filter(admits)
            .reduce(lighter)
            .or_else(|| self.search(admits, wanted))
    }

    fn next(
        &self,
        (turn, step): (&AtomicU64, u64),
        admits: &impl Fn(&usize) -> bool,
        wanted: &Wanted<'_>,
    ) -> Option<usize> {
        for _ in 0..self.endpoints.len().clamp(DRAWS, PASSED_OVER) {
            let turn = turn.fetch_add(1, Relaxed);
            let index = match &self.weights {
                None => (turn % self.endpoints.len() as u64) as usize,
                Some(sums) => {
                    let circle = sums.last().copied().unwrap_or(1);
                    let place = u128::from(turn) * u128::from(step) % u128::from(circle);
                    sums.partition_point(|sum| u128::from(*sum) <= place)
                }
            };
            if admits(&index) {
                return Some(index);
            }
        }
        self.search(admits, wanted)
    }

    fn fallback(&self, tried: &[Address]) -> usize {
        let start = self.random();
        let untried = |index: &usize| !tried.contains(self.endpoints[*index].address());
        self.from(start).find(untried).unwrap_or(start)
    }

    /// All of them, beginning with this one.
    fn from(&self, start: usize) -> impl Iterator<Item = usize> {
        (start..self.endpoints.len()).chain(0..start)
    }

    fn random(&self) -> usize {
        match &self.weights {
            None => fastrand::usize(..self.endpoints.len()),
            Some(sums) => {
                let drawn = fastrand::u64(..sums.last().copied().unwrap_or(1));
                sums.partition_point(|sum| *sum <= drawn)
            }
        }
    }
}

fn running_sums(endpoints: &[Arc<Endpoint>]) -> Option<Vec<u64>> {
    let first = endpoints.first()?.weight();
    if endpoints.iter().all(|endpoint| endpoint.weight() == first) {
        return None;
    }
    let mut sum = 0u64;
    let sums = endpoints.iter().map(|endpoint| {
        sum += u64::from(endpoint.weight());
        sum
    });
    Some(sums.collect())
}

/// A step that visits every place of the circle once before it comes back, and spreads each
/// endpoint's places over the round instead of taking them in a row.
fn step(circle: u64) -> u64 {
    let wanted = ((circle as f64 * GOLDEN) as u64).max(1);
    (wanted..wanted + circle)
        .find(|step| gcd(*step, circle) == 1)
        .unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
