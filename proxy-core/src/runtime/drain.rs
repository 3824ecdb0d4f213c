//! The end of a process, in the order that loses no request.
//!
//! 1. Not ready any more; HTTP/1 responses say `Connection: close`, HTTP/2 connections get GOAWAY.
//! 2. Everything is still served for `drain.delay`. A proxy for outbound calls must not die before the
//!    workload does: it goes on until that has been quiet for [`QUIET`]. Callers of an inbound one come
//!    from elsewhere, and have heard by then that this replica is gone.
//! 3. Listeners close; what the kernel has queued is still served.
//! 4. Idle connections close, requests in flight finish.
//!
//! All of it after the delay takes at most `drain.timeout`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::worker::{Command, Status, Worker};
use crate::lifecycle::{Lifecycle, Phase};

/// The workload is done when nothing has happened for this long.
const QUIET: Duration = Duration::from_secs(1);

/// How long connections without a request are left open after the listeners closed: a request may be on its way.
const LINGER: Duration = Duration::from_millis(100);

/// How often workers are asked.
const LOOK: Duration = Duration::from_millis(10);

/// How long a drain waits, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Everything is served for so long.
    pub(super) delay: Duration,
    /// And then until it is quiet.
    pub(super) quiet: bool,
    /// The most that all that follows the delay may take.
    pub(super) timeout: Duration,
}

/// Drains all workers. Returns the number of requests that were cut off.
pub(super) async fn drain(
    workers: &[Worker],
    lifecycle: &Lifecycle,
    Patience {
        delay,
        quiet: wait_for_quiet,
        timeout,
    }: Patience,
) -> usize {
    lifecycle.advance(Phase::Draining);
    tell_all(workers, || Command::Advance(Phase::Draining)).await;
    sleep(delay).await;
    let deadline = Instant::now() + timeout;
    if wait_for_quiet {
        // Half of the time is left for what is then still in flight.
        // A workload that opens a connection a request may have none open and still be calling.
        quiet(workers, QUIET, Instant::now() + timeout / 2, false).await;
    }
    tell_all(workers, || Command::StopAccepting).await;
    quiet(workers, LINGER, deadline - timeout / 4, true).await;
    lifecycle.advance(Phase::Closing);
    tell_all(workers, || Command::Advance(Phase::Closing)).await;
    loop {
        let status = tell_all(workers, || Command::Count).await;
        if status.open == 0 || Instant::now() >= deadline {
            return status.busy;
        }
        sleep(LOOK).await;
    }
}

/// Waits until nothing has happened for `pause`, at the latest until `deadline`; if `none_is_enough`,
/// no longer than until no connection is open.
async fn quiet(workers: &[Worker], pause: Duration, deadline: Instant, none_is_enough: bool) {
    let mut last = tell_all(workers, || Command::Count).await;
    let mut since = Instant::now();
    loop {
        if (last.open == 0 && none_is_enough)
            || (last.busy == 0 && since.elapsed() >= pause)
            || Instant::now() >= deadline
        {
            return;
        }
        sleep(LOOK).await;
        let now = tell_all(workers, || Command::Count).await;
        if now.pulse != last.pulse || now.busy > 0 {
            since = Instant::now();
        }
        last = now;
    }
}

pub(super) async fn tell_all(workers: &[Worker], command: impl Fn() -> Command) -> Status {
    let answers =
        futures_util::future::join_all(workers.iter().map(|worker| worker.tell(command()))).await;
    answers
        .into_iter()
        .fold(Status::default(), |sum, status| Status {
            open: sum.open + status.open,
            busy: sum.busy + status.busy,
            pulse: sum.pulse.wrapping_add(status.pulse),
        })
}
