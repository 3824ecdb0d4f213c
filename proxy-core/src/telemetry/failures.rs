//! The last failures of one entry on one worker: few, distinct, and written only when something fails.
//!
//! Invariant: what is kept is bounded in number and in length, and holds no path, query or header of a
//! request. A failure that is like one that is kept already counts there, so that an endpoint that
//! fails all the time does not push out the others. Nobody waits: slots are swapped, not locked. A
//! ring has one writer, its worker; should there be two, one of their counts may be lost.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

use crate::address::Address;
use crate::fault::Reason;

/// The most failures that are kept.
const KEPT: usize = 20;

/// The most bytes of a detail that are kept.
const LONGEST: usize = 240;

/// What failed, and how often it did so in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it did so last.
    pub at: SystemTime,
    /// Why; none for an answer of the service itself, which the detail tells.
    pub reason: Option<Reason>,
    /// What happened, in words.
    pub detail: String,
    /// Where, as far as it got to an endpoint.
    pub endpoint: Option<Address>,
    /// The tries that failed so.
    pub tries: u64,
    /// The requests or connections of the workload that ended so.
    pub told: u64,
}

impl Failure {
    /// The name in `Proxy-Status`, metrics and the access log; `status` where the service answered.
    pub fn token(&self) -> &'static str {
        self.reason.map_or("status", Reason::token)
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.reason, &self.endpoint) == (other.reason, &other.endpoint)
            && self.detail == other.detail
    }
}

/// The last distinct failures.
#[derive(Debug, Default)]
pub struct Failures {
    slots: [ArcSwapOption<Failure>; KEPT],
}

impl Failures {
    /// A try failed, whether or not another one follows.
    pub fn tried(&self, reason: Option<Reason>, detail: &str, endpoint: &Address) {
        self.note(failure(reason, detail, Some(endpoint), (1, 0)));
    }

    /// A request or a connection of the workload ended with this failure.
    pub fn told(&self, reason: Option<Reason>, detail: &str, endpoint: Option<&Address>) {
        self.note(failure(reason, detail, endpoint, (0, 1)));
    }

    fn note(&self, mut new: Failure) {
        let mut place = &self.slots[0];
        let mut oldest = Some(SystemTime::now());
        for slot in &self.slots {
            let kept = slot.load();
            if let Some(like) = kept.as_ref().filter(|kept| kept.is_like(&new)) {
                new.tries += like.tries;
                new.told += like.told;
                slot.store(Some(Arc::new(new)));
                return;
            }
            // An empty slot is older than any failure.
            let at = kept.as_ref().map(|kept| kept.at);
            if at < oldest {
                (place, oldest) = (slot, at);
            }
        }
        place.store(Some(Arc::new(new)));
    }

    /// The failures of several rings, the latest first, like ones as one.
    pub(super) fn merged<'a>(rings: impl Iterator<Item = &'a Self>) -> Vec<Failure> {
        let mut all: Vec<Failure> = Vec::new();
        for slot in rings.flat_map(|ring| &ring.slots) {
            let Some(kept) = slot.load_full() else {
                continue;
            };
            match all.iter_mut().find(|failure| failure.is_like(&kept)) {
                Some(like) => {
                    like.at = like.at.max(kept.at);
                    like.tries += kept.tries;
                    like.told += kept.told;
                }
                None => all.push(Failure::clone(&kept)),
            }
        }
        all.sort_by_key(|failure| std::cmp::Reverse(failure.at));
        all.truncate(KEPT);
        all
    }
}

fn failure(
    reason: Option<Reason>,
    detail: &str,
    endpoint: Option<&Address>,
    (tries, told): (u64, u64),
) -> Failure {
    let end = (0..=LONGEST.min(detail.len())).rev();
    let end = end.into_iter().find(|end| detail.is_char_boundary(*end));
    Failure {
        at: SystemTime::now(),
        reason,
        detail: detail[..end.unwrap_or(0)].to_owned(),
        endpoint: endpoint.cloned(),
        tries,
        told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Address = Address::Tcp(std::net::SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        1,
    ));

    #[test]
    fn the_same_again_counts_where_it_stands() {
        let [one, two] = [Failures::default(), Failures::default()];
        for ring in [&one, &one, &two] {
            ring.tried(Some(Reason::ConnectionRefused), "refused", &HERE);
        }
        two.told(Some(Reason::ConnectionRefused), "refused", Some(&HERE));
        one.told(None, "status 503", Some(&HERE));
        let all = Failures::merged([&one, &two].into_iter());
        let told = |failure: &Failure| (failure.token(), failure.tries, failure.told);
        let mut told: Vec<_> = all.iter().map(told).collect();
        told.sort_unstable();
        assert_eq!(told, [("connection_refused", 3, 1), ("status", 0, 1)]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_latest() {
        let ring = Failures::default();
        for number in 0..1000 {
            ring.tried(None, &format!("{number} {}", "é".repeat(1000)), &HERE);
        }
        let all = Failures::merged(std::iter::once(&ring));
        assert_eq!(all.len(), KEPT);
        assert!(all.iter().all(|failure| failure.detail.len() <= LONGEST));
        assert!(all.iter().any(|failure| failure.detail.starts_with("999 ")));
    }
}
