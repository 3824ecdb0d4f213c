//! Consistent hashing on a ring, with bounded load.
//!
//! Each endpoint stands at many points of a ring; a key belongs to the next point (Karger et al.
//! 1997). When an endpoint leaves, only its own keys move. An endpoint that has more than its share
//! of the requests in flight, by a quarter, passes further ones on to the next point, so that one
//! popular key cannot drown its endpoint (Mirrokni, Thorup, Zadimoghaddam 2016; HAProxy's
//! `hash-balance-factor 125`).

use std::sync::Arc;

use super::Endpoint;
use super::policy::hash;

/// Points of an endpoint of the smallest weight, where there are few endpoints: enough for shares
/// that differ by a few percent.
const MOST: usize = 512;

/// And where there are many.
const FEWEST: usize = 32;

/// Points of a ring, as far as those bounds allow.
const ABOUT: usize = 128 * 1024;

/// How much of its even share of the requests in flight an endpoint may have.
const BOUND: f64 = 1.25;

/// Points that are asked before the bound is given up.
const STEPS: usize = 64;

/// A ring of points.
pub(super) struct Ring {
    points: Vec<(u64, u32)>,
    /// Sum of the weights.
    total: f64,
}

impl Ring {
    pub(super) fn new(endpoints: &[Arc<Endpoint>]) -> Self {
        let least = endpoints.iter().map(|endpoint| endpoint.weight()).min();
        let least = least.unwrap_or(1).max(1) as usize;
        let total: usize = endpoints
            .iter()
            .map(|endpoint| endpoint.weight() as usize)
            .sum();
        let each = (ABOUT * least / total.max(1)).clamp(FEWEST, MOST);
        let mut points = Vec::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let address = endpoint.address().to_string();
            for number in 0..each * endpoint.weight() as usize / least {
                points.push((hash(format!("{address} {number}").as_bytes()), index as u32));
            }
        }
        points.sort_unstable();
        Self {
            points,
            total: total as f64,
        }
    }

    /// The endpoint that the key belongs to, or the next one along the ring that takes it.
    pub(super) fn pick(
        &self,
        key: u64,
        endpoints: &[Arc<Endpoint>],
        admits: &impl Fn(&usize) -> bool,
    ) -> Option<usize> {
        let start = self.points.partition_point(|(point, _)| *point < key);
        let along = self.points[start..].iter().chain(&self.points[..start]);
        let along = along.map(|(_, index)| *index as usize);
        let mut refused = None;
        let mut first = None;
        for index in along.take(STEPS) {
            if refused == Some(index) {
                continue;
            }
            if !admits(&index) {
                refused = Some(index);
                continue;
            }
            if self.has_room(index, endpoints) {
                return Some(index);
            }
            first = first.or(Some(index));
            refused = Some(index);
        }
        first
    }

    /// Whether one more request keeps it within its share, counted over a sample of the others
    /// where there are many: a pick must not cost more with more endpoints.
    fn has_room(&self, index: usize, endpoints: &[Arc<Endpoint>]) -> bool {
        const SAMPLE: usize = 32;
        let own = &endpoints[index];
        let in_flight = own.in_flight();
        if in_flight == 0 {
            return true;
        }
        let sample = endpoints.len().min(SAMPLE);
        let others = (0..sample).map(|step| &endpoints[(index + step) % endpoints.len()]);
        let (mut requests, mut weights) = (1.0, 0.0);
        for other in others {
            requests += f64::from(other.in_flight());
            weights += f64::from(other.weight());
        }
        let share = f64::from(own.weight()) / weights.min(self.total);
        f64::from(in_flight + 1) <= (requests * share * BOUND).ceil()
    }
}
