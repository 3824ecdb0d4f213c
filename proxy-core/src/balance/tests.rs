//! Endpoints get their shares, failing ones are left out, and returning ones come back slowly.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::address::Address;

const PEER: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

fn params() -> EjectParams {
    EjectParams {
        failures: 3,
        share: None,
        slow: None,
        period: Duration::from_secs(10),
        at_most: 0.5,
        recover: Duration::from_secs(10),
    }
}

fn target(last: u8, weight: u32) -> Target {
    Target {
        address: std::net::SocketAddr::from(([127, 0, 0, last], 80)).into(),
        authority: "users".parse().unwrap(),
        weight,
        tier: 0,
    }
}

fn set(count: u8, eject: Option<EjectParams>) -> Arc<EndpointSet> {
    let set = EndpointSet::new(eject);
    set.update((1..=count).map(|last| target(last, 1)).collect(), None);
    Arc::new(set)
}

fn last_octet(endpoint: &Endpoint) -> usize {
    endpoint
        .address()
        .to_string()
        .trim_end_matches(":80")
        .rsplit('.')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// How often each of the endpoints is picked in `n` draws.
fn picks(set: &Arc<EndpointSet>, n: usize) -> Vec<usize> {
    let balance = Balance::new(Arc::clone(set), Policy::P2c, |_| ());
    let mut counts = vec![0; set.endpoints().len() + 1];
    for _ in 0..n {
        counts[last_octet(&balance.pick(&[], PEER).unwrap().0)] += 1;
    }
    counts
}

fn fail(set: &EndpointSet, index: usize, times: usize) {
    for _ in 0..times {
        set.record(
            &set.endpoints()[index],
            Outcome::Unreachable,
            Duration::from_millis(1),
            tokio::time::Instant::now(),
        );
    }
}

#[tokio::test(start_paused = true)]
async fn equal_endpoints_share_equally() {
    for count in &picks(&set(4, None), 4000)[1..] {
        assert!((800..1200).contains(count), "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn weights_are_shares() {
    let set = EndpointSet::new(None);
    set.update(vec![target(1, 9), target(2, 1)], None);
    let counts = picks(&Arc::new(set), 5000);
    assert!(counts[2] < 900 && counts[2] > 20, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn the_slower_of_two_is_picked_only_against_itself() {
    let set = set(2, None);
    set.record(
        &set.endpoints()[0],
        Outcome::Success,
        Duration::from_millis(1),
        tokio::time::Instant::now(),
    );
    set.record(
        &set.endpoints()[1],
        Outcome::Success,
        Duration::from_millis(10),
        tokio::time::Instant::now(),
    );
    let counts = picks(&set, 1000);
    assert!(counts[2] < 150, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn consecutive_failures_eject_and_time_returns_slowly() {
    let set = set(3, Some(params()));
    fail(&set, 0, 3);
    assert_eq!(set.ejections(), 1);
    assert_eq!(picks(&set, 300)[1], 0);
    tokio::time::advance(Duration::from_millis(10_500)).await;
    (0..3).for_each(|index| {
        set.record(
            &set.endpoints()[index],
            Outcome::Success,
            Duration::from_millis(1),
            tokio::time::Instant::now(),
        )
    });
    let returning = picks(&set, 3000)[1];
    assert!(returning > 0 && returning < 700, "{returning}");
    tokio::time::advance(Duration::from_secs(10)).await;
    (0..3).for_each(|index| {
        set.record(
            &set.endpoints()[index],
            Outcome::Success,
            Duration::from_millis(1),
            tokio::time::Instant::now(),
        )
    });
    assert!(picks(&set, 3000)[1] > 700);
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_returning_ejects_at_once_and_for_longer() {
    let set = set(3, Some(params()));
    fail(&set, 0, 3);
    tokio::time::advance(Duration::from_secs(11)).await;
    fail(&set, 0, 1);
    assert_eq!(set.ejections(), 2);
    tokio::time::advance(Duration::from_secs(15)).await;
    assert!(set.endpoints()[0].is_ejected(Some(&params())));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_cap_are_ejected() {
    let set = set(3, Some(params()));
    (0..3).for_each(|index| fail(&set, index, 10));
    assert_eq!(set.ejections(), 1, "half of three is one");
    let single = Arc::new(EndpointSet::new(Some(params())));
    single.update(vec![target(1, 1)], None);
    fail(&single, 0, 100);
    assert_eq!(single.ejections(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_return_make_room_under_the_cap_of_a_large_set() {
    let set = set(200, Some(params()));
    for index in 0..150 {
        fail(&set, index, 3);
    }
    assert_eq!(set.ejections(), 100);
    tokio::time::advance(Duration::from_secs(15)).await;
    fail(&set, 150, 3);
    assert_eq!(set.ejections(), 101);
}

#[tokio::test(start_paused = true)]
async fn one_that_returns_is_found_among_many_that_are_ejected() {
    let all_out = EjectParams {
        at_most: 1.0,
        recover: Duration::ZERO,
        ..params()
    };
    for policy in [Policy::P2c, Policy::Least, Policy::RoundRobin] {
        let set = set(200, Some(all_out.clone()));
        fail(&set, 0, 3);
        tokio::time::advance(Duration::from_secs(5)).await;
        for index in 1..200 {
            fail(&set, index, 3);
        }
        let picker = pick::Picker::new(set.endpoints().to_vec(), &policy);
        let pick = |tried: &[Address]| {
            picker.pick(&pick::Wanted {
                eject: set.eject_params(),
                heed: true,
                tried,
                key: None,
            })
        };
        assert_eq!(pick(&[]), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        for _ in 0..20 {
            assert_eq!(pick(&[]), Some(0), "{policy:?}");
        }
        // Nothing but that it was tried speaks against it: the next request gets it.
        assert_eq!(pick(&[set.endpoints()[0].address().clone()]), None);
        assert_eq!(pick(&[]), Some(0), "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_goes_on_with_the_services_that_it_is_given() {
    let made = std::cell::Cell::new(0);
    let make = |_: &Arc<Endpoint>| made.replace(made.get() + 1);
    let set = set(3, None);
    let before = Balance::new(Arc::clone(&set), Policy::P2c, make).services();
    let after = EndpointSet::new(None).after(&set);
    after.update([2, 3, 4].map(|last| target(last, 1)).into(), None);
    let view = Balance::new(Arc::new(after), Policy::P2c, make).knowing(before);
    let services = view.services();
    let services: Vec<(usize, i32)> = services
        .iter()
        .map(|(endpoint, service)| (last_octet(endpoint), *service))
        .collect();
    assert_eq!(services, [(2, 1), (3, 2), (4, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_success_between_failures_prevents_ejection() {
    let set = set(2, Some(params()));
    for _ in 0..10 {
        fail(&set, 0, 2);
        set.record(
            &set.endpoints()[0],
            Outcome::Success,
            Duration::from_millis(1),
            tokio::time::Instant::now(),
        );
        set.note_success(&set.endpoints()[0]);
    }
    assert_eq!(set.ejections(), 0);
}

#[tokio::test(start_paused = true)]
async fn tried_endpoints_are_avoided_while_there_are_others() {
    let set = set(3, None);
    let balance = Balance::new(Arc::clone(&set), Policy::P2c, |_| ());
    let tried: Vec<_> = set.endpoints()[..2]
        .iter()
        .map(|e| e.address().clone())
        .collect();
    for _ in 0..100 {
        assert_eq!(last_octet(&balance.pick(&tried, PEER).unwrap().0), 3);
    }
    let all: Vec<_> = set
        .endpoints()
        .iter()
        .map(|e| e.address().clone())
        .collect();
    assert!(balance.pick(&all, PEER).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_an_endpoint_survives_an_update() {
    let set = set(2, Some(params()));
    fail(&set, 0, 3);
    set.update(vec![target(1, 1), target(2, 1), target(3, 1)], None);
    assert!(set.endpoints()[0].is_ejected(Some(&params())));
    set.update(vec![target(2, 1)], None);
    assert_eq!(set.endpoints().len(), 1);
}

/// Picks of a picker over these endpoints, one a key.
fn picks_by(
    policy: &Policy,
    endpoints: &[Arc<Endpoint>],
    keys: std::ops::Range<u64>,
) -> Vec<usize> {
    let picker = pick::Picker::new(endpoints.to_vec(), policy);
    let of = |key: u64| {
        let key = Some(policy::hash(&key.to_le_bytes()));
        let wanted = pick::Wanted {
            eject: None,
            heed: true,
            tried: &[],
            key,
        };
        last_octet(&endpoints[picker.pick(&wanted).unwrap()])
    };
    keys.map(of).collect()
}

fn count(picks: &[usize], endpoint: usize) -> usize {
    picks.iter().filter(|pick| **pick == endpoint).count()
}

fn by_source() -> Policy {
    Policy::Hash(HashOn::Source)
}

#[tokio::test(start_paused = true)]
async fn removing_one_of_ten_moves_at_most_12_percent_of_the_keys() {
    let all = set(10, None).endpoints().to_vec();
    let before = picks_by(&by_source(), &all, 0..20_000);
    for removed in 0..10 {
        let mut rest = all.clone();
        rest.remove(removed);
        let after = picks_by(&by_source(), &rest, 0..20_000);
        let moved = before.iter().zip(&after).filter(|(b, a)| b != a);
        let moved = moved.count();
        assert!(moved <= 2_400, "{moved} of 20000 keys moved");
        assert_eq!(moved, count(&before, removed + 1), "only its own keys move");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ring_is_the_same_whatever_the_order_of_its_endpoints() {
    let all = set(7, None).endpoints().to_vec();
    let mut turned = all.clone();
    turned.reverse();
    let (one, other) = (
        picks_by(&by_source(), &all, 0..1000),
        picks_by(&by_source(), &turned, 0..1000),
    );
    assert_eq!(one, other);
}

#[tokio::test(start_paused = true)]
async fn a_popular_key_does_not_drown_its_endpoint() {
    let all = set(5, None).endpoints().to_vec();
    let picker = pick::Picker::new(all.clone(), &by_source());
    let wanted = pick::Wanted {
        eject: None,
        heed: true,
        tried: &[],
        key: Some(42),
    };
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(all[picker.pick(&wanted).unwrap()].occupy());
    }
    for endpoint in &all {
        // A quarter more than its share of 20, and one by which it is rounded up.
        assert!(endpoint.in_flight() <= 26, "{}", endpoint.in_flight());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_back_to_its_endpoint_after_an_ejection() {
    let set = set(4, Some(params()));
    let balance = Balance::new(Arc::clone(&set), by_source(), |_| ());
    let own = last_octet(&balance.pick(&[], PEER).unwrap().0);
    fail(&set, own - 1, 3);
    let other = last_octet(&balance.pick(&[], PEER).unwrap().0);
    assert_ne!(own, other);
    tokio::time::advance(Duration::from_secs(21)).await;
    assert_eq!(last_octet(&balance.pick(&[], PEER).unwrap().0), own);
}

#[tokio::test(start_paused = true)]
async fn round_robin_goes_round() {
    let all = set(3, None).endpoints().to_vec();
    let picks = picks_by(&Policy::RoundRobin, &all, 0..9);
    for turn in picks.windows(3) {
        let mut turn = turn.to_vec();
        turn.sort_unstable();
        assert_eq!(turn, [1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_keeps_weights_exactly_and_spreads_them() {
    let set = EndpointSet::new(None);
    set.update(vec![target(1, 5), target(2, 1), target(3, 2)], None);
    let picks = picks_by(&Policy::RoundRobin, &set.endpoints(), 0..80);
    assert_eq!([1, 2, 3].map(|e| count(&picks, e)), [50, 10, 20]);
    let longest = picks.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
    assert!(longest <= Some(3), "{picks:?}");
}

#[tokio::test(start_paused = true)]
async fn round_robin_passes_over_the_ejected() {
    let set = set(4, Some(params()));
    fail(&set, 1, 3);
    let balance = Balance::new(Arc::clone(&set), Policy::RoundRobin, |_| ());
    for _ in 0..40 {
        assert_ne!(last_octet(&balance.pick(&[], PEER).unwrap().0), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn least_picks_the_one_with_the_fewest_requests() {
    for size in [3, 40] {
        let set = set(size, None);
        let endpoints = set.endpoints();
        let balance = Balance::new(Arc::clone(&set), Policy::Least, |_| ());
        let mut held = Vec::new();
        for _ in 0..usize::from(size) * 5 {
            held.push(balance.pick(&[], PEER).unwrap().0.occupy());
        }
        let most = endpoints.iter().map(|endpoint| endpoint.in_flight()).max();
        assert!(
            most <= Some(if size == 3 { 5 } else { 8 }),
            "{most:?} of {size}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p2c_leaves_little_to_an_endpoint_that_is_ten_times_slower() {
    let set = set(4, None);
    let balance = Balance::new(Arc::clone(&set), Policy::P2c, |_| ());
    let mut slow = 0;
    for _ in 0..2000 {
        let endpoint = balance.pick(&[], PEER).unwrap().0;
        let is_slow = last_octet(&endpoint) == 1;
        slow += usize::from(is_slow);
        let latency = Duration::from_millis(if is_slow { 100 } else { 10 });
        tokio::time::advance(Duration::from_millis(1)).await;
        set.record(
            &endpoint,
            Outcome::Success,
            latency,
            tokio::time::Instant::now(),
        );
    }
    assert!(slow <= 60, "{slow} of 2000");
}

/// Answers of four endpoints in turn for `seconds`, of which the first fails every `nth`, and each of the others every `others`.
async fn answers(set: &EndpointSet, seconds: u64, nth: usize, others: usize) {
    let endpoints = set.endpoints();
    for number in 0..seconds as usize * 25 {
        for (index, endpoint) in endpoints.iter().enumerate() {
            let every = if index == 0 { nth } else { others };
            let now = tokio::time::Instant::now();
            let outcome = if (number + index) % every == 0 {
                Outcome::Failure
            } else {
                set.note_success(endpoint);
                Outcome::Success
            };
            set.record(endpoint, outcome, Duration::from_millis(5), now);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
    }
}

fn with_share() -> Option<EjectParams> {
    Some(EjectParams {
        share: Some(0.2),
        ..params()
    })
}

#[tokio::test(start_paused = true)]
async fn a_gray_failure_is_ejected() {
    let set = set(4, with_share());
    answers(&set, 3, 3, 100).await;
    let endpoints = set.endpoints();
    let out = |index: usize| endpoints[index].is_ejected(set.eject_params());
    assert!(out(0), "one that fails a third of its requests");
    assert!(!(1..4).any(out), "and no other");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_owes_answers_gets_no_more_requests() {
    let set = set(3, None);
    let endpoints = set.endpoints();
    for endpoint in endpoints.iter() {
        let now = tokio::time::Instant::now();
        set.record(endpoint, Outcome::Success, Duration::from_millis(2), now);
    }
    endpoints[0].load().begin();
    endpoints[0].load().ask(tokio::time::Instant::now());
    tokio::time::advance(Duration::from_secs(20)).await;
    for endpoint in &endpoints[1..] {
        let now = tokio::time::Instant::now();
        set.record(endpoint, Outcome::Success, Duration::from_millis(2), now);
    }
    assert_eq!(picks(&set, 500)[1], 0, "though nothing is known against it");
    endpoints[0].load().answered();
    endpoints[0].load().end();
    assert!(picks(&set, 500)[1] > 100);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_always_outrun_is_slow_and_one_that_was_hardly_asked_is_not() {
    let set = set(3, slow());
    let endpoints = set.endpoints();
    for _ in 0..40 {
        for (index, outcome, millis) in [
            (0, Outcome::Outrun, 8),
            (1, Outcome::Success, 2),
            (2, Outcome::Success, 2),
            (2, Outcome::Outrun, 0),
        ] {
            let now = tokio::time::Instant::now();
            set.record(
                &endpoints[index],
                outcome,
                Duration::from_millis(millis),
                now,
            );
            tokio::time::advance(Duration::from_millis(10)).await;
        }
    }
    let out = |index: usize| endpoints[index].is_ejected(set.eject_params());
    assert!(out(0) && !out(1) && !out(2));
    assert!(endpoints[2].latency() >= Duration::from_millis(1));
}

/// Answers of four endpoints in turn for `seconds`, the first of which take `slow` and the others 2 ms.
async fn latencies(set: &EndpointSet, seconds: u64, slow: Duration) {
    for _ in 0..seconds * 25 {
        for (index, endpoint) in set.endpoints().iter().enumerate() {
            let latency = if index == 0 {
                slow
            } else {
                Duration::from_millis(2)
            };
            let now = tokio::time::Instant::now();
            set.record(endpoint, Outcome::Success, latency, now);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_much_slower_than_the_others_is_ejected_again_and_again() {
    let set = set(4, slow());
    latencies(&set, 1, Duration::from_millis(20)).await;
    assert_eq!(set.ejections(), 0, "not slow enough");
    latencies(&set, 3, Duration::from_millis(100)).await;
    let causes: Vec<_> = set.ejections_by_cause().collect();
    assert_eq!(causes, [("failures", 0), ("share", 0), ("slow", 1)]);
    let out = |index: usize| set.endpoints()[index].is_ejected(set.eject_params());
    assert!(out(0) && !(1..4).any(out));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(!out(0), "it may try again");
    latencies(&set, 2, Duration::from_millis(100)).await;
    assert!(out(0), "and is still slow");
    tokio::time::advance(Duration::from_secs(18)).await;
    assert!(out(0), "so it is out for longer");
}

fn slow() -> Option<EjectParams> {
    Some(EjectParams {
        slow: Some(5),
        ..params()
    })
}

/// Answers of all endpoints in turn for `seconds`, each of which takes what is said of it.
async fn answers_taking(set: &EndpointSet, seconds: u64, millis: &[u64]) {
    for _ in 0..seconds * 25 {
        for (endpoint, millis) in set.endpoints().iter().zip(millis) {
            let latency = Duration::from_millis(*millis);
            set.record(
                endpoint,
                Outcome::Success,
                latency,
                tokio::time::Instant::now(),
            );
        }
        tokio::time::advance(Duration::from_millis(40)).await;
    }
}

fn out(set: &EndpointSet) -> Vec<usize> {
    let endpoints = set.endpoints();
    let out = endpoints.iter().enumerate();
    let out = out.filter(|(_, endpoint)| endpoint.is_ejected(set.eject_params()));
    out.map(|(index, _)| index).collect()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_quick_makes_the_others_not_slow() {
    for millis in [&[0, 40, 40][..], &[0, 40, 40, 40], &[0, 0, 40, 40]] {
        let set = set(millis.len() as u8, slow());
        answers_taking(&set, 10, millis).await;
        assert_eq!(
            out(&set),
            if millis[1] == 0 { vec![2] } else { vec![] },
            "{millis:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_takes_the_place_of_a_slow_one() {
    let set = set(4, slow());
    answers_taking(&set, 5, &[1, 1, 50, 50]).await;
    assert_eq!(out(&set).len(), 1, "a quarter of them");
    for index in 0..2 {
        fail(&set, index, 3);
    }
    assert_eq!(
        out(&set),
        [0, 1],
        "half of them, and those that do not answer first"
    );
}

#[tokio::test(start_paused = true)]
async fn tiers_are_not_compared_with_each_other() {
    let set = EndpointSet::new(slow());
    let backup = |last| Target {
        tier: 1,
        ..target(last, 1)
    };
    set.update(vec![target(1, 1), backup(2), backup(3), backup(4)], None);
    answers_taking(&set, 10, &[2, 50, 50, 50]).await;
    assert!(out(&set).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_endpoint_may_warm_up() {
    let set = set(3, slow());
    answers_taking(&set, 20, &[3, 3, 3]).await;
    set.update((1..=4).map(|last| target(last, 1)).collect(), None);
    answers_taking(&set, 30, &[3, 3, 3, 300]).await;
    assert!(out(&set).is_empty());
    answers_taking(&set, 31, &[3, 3, 3, 300]).await;
    assert_eq!(out(&set), [3], "but not for ever");
}

#[tokio::test(start_paused = true)]
async fn answers_to_what_was_sent_before_an_ejection_say_nothing_after_it() {
    let set = set(3, Some(params()));
    fail(&set, 0, 3);
    tokio::time::advance(Duration::from_secs(11)).await;
    let endpoints = set.endpoints();
    let now = tokio::time::Instant::now();
    set.record(&endpoints[0], Outcome::Failure, Duration::from_secs(2), now);
    assert_eq!(set.ejections(), 1, "it was sent before");
    set.record(
        &endpoints[0],
        Outcome::Failure,
        Duration::from_millis(500),
        now,
    );
    assert_eq!(set.ejections(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_ejected_endpoint_gets_nothing_however_heavy_it_is() {
    let set = EndpointSet::new(Some(params()));
    set.update(vec![target(1, 99), target(2, 1)], None);
    let set = Arc::new(set);
    fail(&set, 0, 3);
    assert_eq!(picks(&set, 1000)[1], 0);
}

#[tokio::test(start_paused = true)]
async fn what_all_suffer_from_ejects_none() {
    let set = set(4, with_share());
    answers(&set, 20, 3, 3).await;
    assert_eq!(set.ejections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_few_failures_eject_none() {
    let set = set(4, with_share());
    answers(&set, 20, 10, 1000).await;
    assert_eq!(set.ejections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_higher_tier_serves_while_no_lower_one_can() {
    let set = EndpointSet::new(Some(params()));
    let second = |last| Target {
        tier: 7,
        ..target(last, 1)
    };
    let targets = vec![target(1, 1), target(2, 1), second(3), second(4)];
    set.update(targets, None);
    let set = Arc::new(set);
    assert_eq!(picks(&set, 100)[3..], [0, 0]);
    fail(&set, 0, 3);
    assert_eq!(picks(&set, 100)[2], 100);
    fail(&set, 1, 3);
    let counts = picks(&set, 100);
    assert_eq!((counts[1], counts[2], counts[3] + counts[4]), (0, 0, 100));
}

/// Finds the endpoints ill whose last octets these are.
struct Ill(Arc<parking_lot::Mutex<Vec<usize>>>);

impl Probe for Ill {
    async fn probe(&self, endpoint: &Endpoint) -> Result<(), String> {
        match self.0.lock().contains(&last_octet(endpoint)) {
            true => Err("it is ill".into()),
            false => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_its_checks_gets_nothing_until_it_passes_them() {
    let set = set(4, Some(params()));
    let ill = Arc::new(parking_lot::Mutex::new(vec![2]));
    let checks = CheckParams {
        every: Duration::from_secs(1),
        failures: 2,
        successes: 1,
    };
    tokio::spawn(check(Arc::clone(&set), checks, Ill(Arc::clone(&ill))));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_ne!(picks(&set, 400)[2], 0, "one failed check is not enough");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(picks(&set, 400)[2], 0);
    ill.lock().clear();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let back = picks(&set, 4000)[2];
    assert!((1..800).contains(&back), "it comes back slowly: {back}");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(picks(&set, 4000)[2] > 800);
}

#[tokio::test(start_paused = true)]
async fn checks_that_most_endpoints_fail_are_not_heeded() {
    let set = set(4, None);
    let ill = Arc::new(parking_lot::Mutex::new(vec![1, 2]));
    let checks = CheckParams {
        every: Duration::from_secs(1),
        failures: 1,
        successes: 1,
    };
    tokio::spawn(check(Arc::clone(&set), checks, Ill(Arc::clone(&ill))));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(picks(&set, 400)[1..3], [0, 0], "half of them may be out");
    assert!(set.heeds_checks());
    *ill.lock() = vec![1, 2, 3];
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!set.heeds_checks());
    assert!(picks(&set, 400)[1..].iter().all(|count| *count > 0));
}

#[tokio::test(start_paused = true)]
async fn p2c_keeps_weights_while_requests_take_their_time() {
    let set = EndpointSet::new(None);
    set.update(vec![target(1, 1), target(2, 9)], None);
    let set = Arc::new(set);
    let balance = Balance::new(Arc::clone(&set), Policy::P2c, |_| ());
    let mut flights: std::collections::VecDeque<(Arc<Endpoint>, Occupied)> = Default::default();
    let mut heavy = 0;
    for _ in 0..4000 {
        if flights.len() == 16 {
            let (endpoint, held) = flights.pop_front().unwrap();
            let now = tokio::time::Instant::now();
            set.record(&endpoint, Outcome::Success, Duration::from_millis(10), now);
            drop::<Occupied>(held);
        }
        let endpoint = balance.pick(&[], PEER).unwrap().0;
        heavy += usize::from(last_octet(&endpoint) == 2);
        let held = endpoint.occupy();
        flights.push_back((endpoint, held));
        tokio::time::advance(Duration::from_micros(600)).await;
    }
    assert!((3400..3800).contains(&heavy), "{heavy} of 4000");
}
