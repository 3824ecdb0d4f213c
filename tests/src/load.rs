//! Open-loop load: requests leave at a fixed rate, whatever becomes of those before them.
//!
//! Connections are kept and used again as a workload's HTTP client does. A request counts as failed
//! unless it is answered with the status 200 and a whole body; each failure keeps its reason.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::{Body, Connection, Error, Protocol, Reply};
use crate::promise::{EVENT, expect};

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which request of the load it was, counted from 0.
    pub number: usize,
    /// When it failed, after the start of the load.
    pub at: Duration,
    /// Why.
    pub reason: String,
}

/// What became of the load.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many requests are over.
    pub done: usize,
    /// Those that failed.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// Checks that there was load and that no request failed.
    ///
    /// # Panics
    ///
    /// When one failed; the message shows the first failures.
    pub fn assert_none_failed(&self) {
        assert!(self.done > 0, "there was no load");
        let first: Vec<String> = self
            .failures
            .iter()
            .take(10)
            .map(|failure| format!("{failure:?}"))
            .collect();
        let (failed, done) = (self.failures.len(), self.done);
        assert!(
            failed == 0,
            "{failed} of {done} requests failed:\n{}",
            first.join("\n")
        );
    }
}

/// Running load.
#[derive(Debug)]
pub struct Load {
    outcome: Arc<watch::Sender<Outcome>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

type Idle = Arc<Mutex<Vec<Connection>>>;

impl Load {
    /// Sends `rate` requests a second to `address` over HTTP/1.1; `make` makes each by its number.
    pub fn start(
        address: SocketAddr,
        rate: u32,
        make: impl Fn(usize) -> Request<Body> + Send + 'static,
    ) -> Self {
        let outcome = Arc::new(watch::Sender::new(Outcome::default()));
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(drive(address, rate, make, Arc::clone(&outcome), stopping));
        Self {
            outcome,
            stop,
            task,
        }
    }

    /// Waits until `count` requests are over, counted from the start.
    ///
    /// # Panics
    ///
    /// When they do not end.
    pub async fn done(&self, count: usize) {
        let mut changes = self.outcome.subscribe();
        let enough = changes.wait_for(|outcome| outcome.done >= count);
        let came = tokio::time::timeout(EVENT, enough).await.is_ok();
        assert!(
            came,
            "{} of {count} requests were over",
            self.outcome.borrow().done
        );
    }

    /// Waits until `count` requests more than now are over.
    pub async fn done_more(&self, count: usize) {
        let now = self.outcome.borrow().done;
        self.done(now + count).await;
    }

    /// Sends no more, waits for what is in flight, and tells what became of all.
    pub async fn stop(self) -> Outcome {
        self.stop.send_replace(true);
        expect("the end of the load", self.task)
            .await
            .expect("the load runs");
        self.outcome.borrow().clone()
    }
}

async fn drive(
    address: SocketAddr,
    rate: u32,
    make: impl Fn(usize) -> Request<Body>,
    outcome: Arc<watch::Sender<Outcome>>,
    mut stopping: watch::Receiver<bool>,
) {
    let idle = Idle::default();
    let start = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut flights = JoinSet::new();
    for number in 0.. {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            _ = ticks.tick() => {}
        }
        while flights.try_join_next().is_some() {}
        let (idle, outcome, request) = (Arc::clone(&idle), Arc::clone(&outcome), make(number));
        flights.spawn(async move {
            let flight = tokio::time::timeout(EVENT, exchange(address, &idle, request)).await;
            let failure = match flight {
                Ok(Ok(reply)) if reply.status == 200 => None,
                Ok(Ok(reply)) => Some(format!(
                    "status {} ({}): {}",
                    reply.status,
                    reply.header("proxy-status"),
                    reply.text().trim()
                )),
                Ok(Err(error)) => Some(chain(&*error)),
                Err(_) => Some(format!("no answer within {EVENT:?}")),
            };
            outcome.send_modify(|outcome| {
                outcome.done += 1;
                let at = start.elapsed();
                outcome
                    .failures
                    .extend(failure.map(|reason| Failure { number, at, reason }));
            });
        });
    }
    while flights.join_next().await.is_some() {}
}

async fn exchange(
    address: SocketAddr,
    idle: &Idle,
    request: Request<Body>,
) -> Result<Reply, Error> {
    let kept = {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Connection::is_open);
        idle.pop()
    };
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(address, Protocol::Http1).await?,
    };
    let reply = connection.fetch(request).await?;
    idle.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(connection);
    Ok(reply)
}

/// An error and all that caused it, as one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::Load;
    use crate::client::get;
    use crate::origin::{Origin, ok, status};
    use crate::promise::promise;

    #[test]
    fn each_failure_is_kept_with_its_reason() {
        promise(async {
            let origin = Origin::start(|request| async move {
                if request.uri().path() == "/3" {
                    status(503)
                } else {
                    ok("fine")
                }
            });
            let load = Load::start(origin.address(), 500, |number| get(&format!("/{number}")));
            load.done(20).await;
            let outcome = load.stop().await;
            assert_eq!(outcome.failures.len(), 1);
            assert_eq!(outcome.failures[0].number, 3);
            assert!(outcome.failures[0].reason.contains("503"));
            assert!(origin.connections() < outcome.done);
        });
    }

    #[test]
    fn a_refused_connection_is_a_failure() {
        promise(async {
            let (address, _held) = crate::scripted::refusing();
            let load = Load::start(address, 500, |_| get("/"));
            load.done(5).await;
            let outcome = load.stop().await;
            assert_eq!(outcome.failures.len(), outcome.done);
        });
    }
}
