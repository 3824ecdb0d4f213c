//! What holds in every run, whatever the endpoints do.

use super::world::{Ending, Run};

/// Fails with the invariant that does not hold.
pub(crate) fn invariants(run: &Run) {
    let seed = run.seed;
    // No request is lost: each has ended, and a failure has its reason.
    assert_eq!(
        run.endings.len(),
        run.requests,
        "seed {seed}: requests are lost"
    );
    for ending in &run.endings {
        if let Ending::Fault { detail, .. } = ending {
            assert!(!detail.is_empty(), "seed {seed}: a fault without a word");
        }
    }
    // Nothing takes longer than it may, but for the grain of the clock.
    for took in &run.took {
        let most = run.request_timeout + std::time::Duration::from_millis(2);
        assert!(*took <= most, "seed {seed}: {took:?} of {most:?}");
    }
    budgets(run);
    // The ejection cap is kept.
    let cap = (run.endpoints as f64 * run.at_most).floor() as usize;
    assert!(
        run.most_ejected <= cap,
        "seed {seed}: {} ejected",
        run.most_ejected
    );
    // Nothing is left behind.
    assert_eq!(run.in_flight_at_end, 0, "seed {seed}: requests in flight");
    assert_eq!(run.left_under_way, 0, "seed {seed}: tries that never ended");
    // A limit is a limit.
    if let Some(limit) = run.limit {
        let tries = if run.hedge_share > 0.0 { 2 } else { 1 };
        assert!(
            run.most_under_way <= limit * tries,
            "seed {seed}: {} under way",
            run.most_under_way
        );
    }
    // A good service is served well.
    if run.all_healthy && run.limit.is_none() {
        assert_eq!(
            run.failed(),
            0,
            "seed {seed}: healthy endpoints, failed requests"
        );
    }
}

/// Retries and hedges stay within their budgets.
fn budgets(run: &Run) {
    let seed = run.seed;
    // Retries of what an endpoint may have seen stay within the budget, at every moment.
    for (at, requests, paid) in &run.budget {
        let most = run.share * *requests as f64 + run.floor * (at.as_secs_f64() + 1.0) + 1.0;
        let paid = *paid as f64;
        assert!(
            paid <= most,
            "seed {seed}: {paid} retries at {at:?}, {most} allowed"
        );
    }
    // Hedges stay within theirs.
    let most = run.hedge_share * run.requests as f64 + 1.0;
    assert!(
        f64::from(run.hedges) <= most,
        "seed {seed}: {} hedges",
        run.hedges
    );
}
