//! The policies of an entry on a virtual clock, over endpoints that fail, crawl, hang and flap by a seed.
//!
//! A thousand seeds, each another configuration, another set of endpoints and other times. Whatever
//! happens, the invariants of [`check`] hold. The policy code is the one that the binaries run:
//! `stack::policies` over `balance::Balance`; only the network is made up. A seed that fails is
//! printed, and runs alone with `REMORA_SEED=N cargo xtask test simulate`.

mod check;
mod world;

use world::Run;

/// Seeds that every run of the tests tries.
const SEEDS: u64 = 1000;

/// Runs one seed on a clock of its own, which stands still while there is something to do.
fn run(seed: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    fastrand::seed(seed);
    runtime.block_on(world::simulate(seed))
}

#[test]
fn a_thousand_seeds() {
    if let Ok(seed) = std::env::var("REMORA_SEED") {
        let run = run(seed.parse().expect("a number"));
        println!("{}\n{run:#?}", run.settings);
        return check::invariants(&run);
    }
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (first..SEEDS).step_by(threads as usize) {
                    let run = run(seed);
                    let held = std::panic::catch_unwind(|| check::invariants(&run));
                    assert!(held.is_ok(), "seed {seed}; REMORA_SEED={seed} replays it");
                }
            });
        }
    });
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [7, 42, 99] {
        assert_eq!(format!("{:?}", run(seed)), format!("{:?}", run(seed)));
    }
}

#[test]
fn the_seeds_reach_what_they_are_to_reach() {
    let runs: Vec<Run> = (0..200).map(run).collect();
    let count = |holds: &dyn Fn(&Run) -> bool| runs.iter().filter(|run| holds(run)).count();
    assert!(count(&|run| run.ejections > 0) > 20, "ejections");
    assert!(count(&|run| run.retries > 0) > 50, "retries");
    assert!(
        count(&|run| run.denied_by_budget > 0) > 5,
        "an empty budget"
    );
    assert!(count(&|run| run.refused_by_limit > 0) > 2, "a limit");
    assert!(count(&|run| run.hedges > 0) > 10, "hedges");
    assert!(count(&|run| run.failed() == 0) > 20, "a good end");
}
