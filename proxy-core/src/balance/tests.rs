//! Endpoints get their shares, failing ones are left out, and returning ones come back slowly.

use std::sync::Arc;
use std::time::Duration;

use super::*;

fn params() -> EjectParams {
    EjectParams {
        failures: 3,
        period: Duration::from_secs(10),
        at_most: 0.5,
        recover: Duration::from_secs(10),
    }
}

fn target(last: u8, weight: u32) -> Target {
    Target {
        address: ([127, 0, 0, last], 80).into(),
        authority: "users".parse().unwrap(),
        weight,
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
    let balance = Balance::new(Arc::clone(set), |_| ());
    let mut counts = vec![0; set.endpoints().len() + 1];
    for _ in 0..n {
        counts[last_octet(&balance.pick(&[]).unwrap().0)] += 1;
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
    let balance = Balance::new(Arc::clone(&set), |_| ());
    let tried: Vec<_> = set.endpoints()[..2].iter().map(|e| e.address()).collect();
    for _ in 0..100 {
        assert_eq!(last_octet(&balance.pick(&tried).unwrap().0), 3);
    }
    let all: Vec<_> = set.endpoints().iter().map(|e| e.address()).collect();
    assert!(balance.pick(&all).is_some());
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
