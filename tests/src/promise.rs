//! Runs a test under one deadline, and waits for what has no event of its own.
//!
//! Every wait of these tests is on an event. The deadlines are there so that a broken promise fails
//! instead of hanging; they are generous and no test measures speed by them.

use std::future::Future;
use std::time::Duration;

/// The longest that a single event may take.
pub const EVENT: Duration = Duration::from_secs(30);

/// The longest that a whole test may take.
const TEST: Duration = Duration::from_secs(170);

/// How often [`until`] looks at what it waits for.
const LOOK: Duration = Duration::from_millis(10);

/// Runs `test` to its end; what it spawns runs on two threads beside it.
///
/// # Panics
///
/// When the test takes longer than 170 seconds.
pub fn promise(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let over = runtime.block_on(async { tokio::time::timeout(TEST, test).await.is_ok() });
    assert!(over, "the test was not over after {TEST:?}");
    runtime.shutdown_background();
}

/// Waits for `event`, at most [`EVENT`].
///
/// # Panics
///
/// When the event does not come; the message names `what`.
pub async fn expect<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(EVENT, event)
        .await
        .unwrap_or_else(|_| panic!("nothing came within {EVENT:?} while waiting for {what}"))
}

/// Looks again and again until `check` finds something: for states that announce no change.
///
/// # Panics
///
/// When nothing is found within [`EVENT`]; the message names `what`.
pub async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    expect(what, async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
}
