//! Draws the part of a large set that this process uses.
//!
//! With a thousand proxies before a thousand endpoints, connections from each to each are more than
//! either side wants. Every process draws a part of its own by rendezvous hashing (Thaler, Ravishankar
//! 1998; gRPC's proposal A68): an endpoint that comes or goes moves no more than itself.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Target;
use super::policy::hash;

/// What makes the draw this process's own.
static SEED: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));

/// At most `most` targets of each tier, in the order in which they came.
pub(super) fn subset(targets: Vec<Target>, most: usize) -> Vec<Target> {
    draw(targets, most, *SEED)
}

fn draw(targets: Vec<Target>, most: usize, seed: u64) -> Vec<Target> {
    let mut tiers: HashMap<u16, Vec<(u64, usize)>> = HashMap::new();
    for (index, target) in targets.iter().enumerate() {
        let key = format!("{seed} {} {}", target.address, target.authority);
        let tier = tiers.entry(target.tier).or_default();
        tier.push((hash(key.as_bytes()), index));
    }
    let mut drawn = vec![false; targets.len()];
    for tier in tiers.values_mut() {
        if tier.len() > most {
            tier.select_nth_unstable(most);
            tier.truncate(most);
        }
        tier.iter().for_each(|(_, index)| drawn[*index] = true);
    }
    let kept = targets.into_iter().zip(drawn);
    kept.filter_map(|(target, drawn)| drawn.then_some(target))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn targets(ports: std::ops::Range<u16>, tier: u16) -> Vec<Target> {
        let of = |port| Target {
            address: SocketAddr::from(([127, 0, 0, 1], port)).into(),
            authority: "users".parse().unwrap(),
            weight: 1,
            tier,
        };
        ports.map(of).collect()
    }

    #[test]
    fn a_small_set_is_used_as_a_whole() {
        assert_eq!(draw(targets(1..11, 0), 10, 7), targets(1..11, 0));
    }

    #[test]
    fn each_tier_has_its_part() {
        let mut all = targets(1..101, 0);
        all.extend(targets(101..104, 1));
        let drawn = draw(all.clone(), 10, 7);
        let of = |tier| drawn.iter().filter(|target| target.tier == tier).count();
        assert_eq!((of(0), of(1)), (10, 3));
        assert!(drawn.iter().all(|target| all.contains(target)));
    }

    #[test]
    fn an_endpoint_that_goes_moves_no_other() {
        let all = targets(1..101, 0);
        let before = draw(all.clone(), 10, 7);
        for gone in &all {
            let rest = all.iter().filter(|target| *target != gone).cloned();
            let after = draw(rest.collect(), 10, 7);
            let new = after.iter().filter(|target| !before.contains(target));
            assert_eq!(new.count(), usize::from(before.contains(gone)));
        }
    }

    #[test]
    fn processes_draw_differently_and_every_endpoint_is_drawn() {
        let mut times = HashMap::new();
        for seed in 0..500 {
            for target in draw(targets(1..101, 0), 10, seed) {
                *times.entry(target.address).or_insert(0) += 1;
            }
        }
        assert_eq!(times.len(), 100);
        assert!(
            times.values().all(|times| (20..90).contains(times)),
            "{times:?}"
        );
    }
}
