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

/// And where weights ask for more of them: a weight comes from the network and may be 65535.
const AT_MOST: usize = 4 * ABOUT;

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
        let most = AT_MOST.max(FEWEST * endpoints.len());
        let own = |endpoint: &Arc<Endpoint>| {
            let weight = endpoint.weight() as usize;
            (each * weight / least).min((most * weight / total.max(1)).max(1))
        };
        let mut points = Vec::with_capacity(endpoints.iter().map(own).sum());
        for (index, endpoint) in endpoints.iter().enumerate() {
            let (mut name, mut digits) = (format!("{} ", endpoint.address()), itoa::Buffer::new());
            let address = name.len();
            for number in 0..own(endpoint) {
                name.truncate(address);
                name.push_str(digits.format(number));
                points.push((hash(name.as_bytes()), index as u32));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Target;

    fn endpoints(weights: &[u32]) -> Vec<Arc<Endpoint>> {
        let endpoint = |(port, weight): (u16, &u32)| {
            Endpoint::new(Target {
                address: std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
                authority: http::uri::Authority::from_static("users"),
                weight: *weight,
                tier: 0,
            })
        };
        (1..).zip(weights).map(endpoint).collect()
    }

    fn points(ring: &Ring, endpoint: u32) -> usize {
        let own = ring.points.iter().filter(|(_, index)| *index == endpoint);
        own.count()
    }

    #[tokio::test]
    async fn points_are_where_they_were_in_every_version() {
        let ring = Ring::new(&endpoints(&[1, 2]));
        let wanted = [("127.0.0.1:1", 512), ("127.0.0.1:2", 1024)];
        let mut expected: Vec<(u64, u32)> = Vec::new();
        for ((address, count), index) in wanted.into_iter().zip(0..) {
            let point = |number| hash(format!("{address} {number}").as_bytes());
            expected.extend((0..count).map(|number| (point(number), index)));
        }
        expected.sort_unstable();
        assert_eq!(ring.points, expected);
    }

    #[tokio::test]
    async fn weights_make_a_ring_only_so_large() {
        let mut weights = vec![u32::from(u16::MAX); 100];
        weights.push(1);
        let ring = Ring::new(&endpoints(&weights));
        assert!(ring.points.len() <= AT_MOST, "{}", ring.points.len());
        assert_eq!(points(&ring, 0), AT_MOST / 100);
        assert_eq!(points(&ring, 100), 1);
        let many = Ring::new(&endpoints(&[7; 20_000]));
        assert_eq!(many.points.len(), 20_000 * FEWEST);
    }
}
