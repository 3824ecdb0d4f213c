//! Finds the endpoints whose answers stand out from those of their peers: gray failures, which
//! failures in a row never show.
//!
//! Peers are the endpoints of one tier that take requests now. For failures an endpoint is compared with all
//! that the others answered. For latency it is compared with the middle one of the others, so that one
//! that is quick because it is broken makes none of the good ones slow.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::answers::{Cause, Recent, Window};
use super::eject::State;
use super::{EjectParams, Endpoint};

/// How long an endpoint that joined later may be slow: it warms up by requests alone.
const WARM_UP: Duration = Duration::from_secs(60);

/// Fewer peers have no middle.
const PEERS: usize = 3;

struct Peer<'a> {
    endpoint: &'a Arc<Endpoint>,
    window: Window,
}

/// The endpoints that stand out at `now`, and why. `heed`: what the checks say counts. `since` is when the
/// first of the endpoints were there.
pub(super) fn outliers(
    endpoints: &[Arc<Endpoint>],
    params: &EjectParams,
    heed: bool,
    (since, now): (Instant, Instant),
) -> Vec<(Arc<Endpoint>, Cause)> {
    let takes = |endpoint: &&Arc<Endpoint>| {
        let health = endpoint.health();
        health.state(params, now) != State::Ejected && !(heed && health.is_unhealthy())
    };
    let peers = endpoints.iter().filter(takes).map(|endpoint| Peer {
        endpoint,
        window: endpoint.health().recent(now),
    });
    let mut peers: SmallVec<[Peer<'_>; 8]> = peers.collect();
    peers.sort_by_key(|peer| peer.endpoint.tier());
    let mut found = Vec::new();
    for tier in peers.chunk_by(|one, other| one.endpoint.tier() == other.endpoint.tier()) {
        if let Some(share) = params.share {
            failing(tier, share, &mut found);
        }
        if let Some(factor) = params.slow {
            slow(tier, f64::from(factor), (since, now), &mut found);
        }
    }
    found
}

fn failing(peers: &[Peer<'_>], share: f64, found: &mut Vec<(Arc<Endpoint>, Cause)>) {
    // The latest by themselves, too: what has begun a moment ago shows in them alone.
    for of in [
        |window: Window| window.latest,
        |window: Window| window.whole,
    ] {
        let mut all = Recent::default();
        peers.iter().for_each(|peer| all += of(peer.window));
        for peer in peers {
            let own = of(peer.window);
            if own.fails_more(share, all - own) {
                found.push((Arc::clone(peer.endpoint), Cause::Share));
            }
        }
    }
}

fn slow(
    peers: &[Peer<'_>],
    factor: f64,
    (since, now): (Instant, Instant),
    found: &mut Vec<(Arc<Endpoint>, Cause)>,
) {
    let known = peers.iter().filter_map(|peer| {
        let typical = peer.window.typical()?;
        Some((typical, peer))
    });
    let mut sorted: SmallVec<[(f64, &Peer<'_>); 8]> = known.collect();
    if sorted.len() < PEERS {
        return;
    }
    sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    // The upper one of two in the middle: in doubt, nobody is slow. Those above it are compared with
    // it, and their number does not change which it is.
    let middle = (sorted.len() - 1) / 2;
    let Some((_, usual)) = sorted.get(middle) else {
        return;
    };
    for (_, peer) in &sorted[middle + 1..] {
        let born = peer.endpoint.health().born();
        let is_new = born > since + WARM_UP / 6 && now < born + WARM_UP;
        if !is_new && peer.window.is_slower(factor, usual.window) {
            found.push((Arc::clone(peer.endpoint), Cause::Slow));
        }
    }
}
