//! An adaptive limit: how many requests at once are answered without queueing.
//!
//! The gradient of latency, in the manner of Netflix's concurrency-limits and Envoy's adaptive
//! concurrency: the latency of the last moments is compared with the best one seen. While it is not
//! much higher, the limit grows by a few requests; when it is, the limit shrinks in proportion. When
//! the limit was halved and answers did not get faster, it is not the queue that makes them slow: what
//! they take now is the best from then on. Overload that is said outright shrinks the limit at once.

use std::time::Duration;

use tokio::time::Instant;

/// The limit to begin with, and its bounds.
const FIRST: f64 = 20.0;
const LEAST: f64 = 4.0;
const MOST: f64 = 10_000.0;

/// A window ends when it has so many answers and is so old.
const SAMPLES: u32 = 10;
const WINDOW: Duration = Duration::from_millis(100);

/// How much slower than the best is still taken to be no queueing.
const TOLERANCE: f64 = 1.5;

/// How much faster answers must get when the limit is halved, for the queue to have been the reason.
const HELPED: f64 = 0.9;

/// Requests that may queue.
const QUEUE: f64 = 4.0;

/// How much of a new limit counts, and what is left of one after an overload.
const SMOOTHING: f64 = 0.2;
const BACKOFF: f64 = 0.9;

/// A limit and what it is learnt from.
#[derive(Debug)]
pub(super) struct Gradient {
    limit: f64,
    /// The best latency of a window, in seconds.
    best: f64,
    /// The limit and the latency from which it shrinks.
    shrinking: Option<(f64, f64)>,
    begun: Option<Instant>,
    sum: Duration,
    /// Answers whose latency counts, and all.
    timed: u32,
    count: u32,
    /// The most requests at once in this window.
    peak: u32,
    overloaded: bool,
}

impl Gradient {
    pub(super) fn new() -> Self {
        Self {
            limit: FIRST,
            best: f64::INFINITY,
            shrinking: None,
            begun: None,
            sum: Duration::ZERO,
            timed: 0,
            count: 0,
            peak: 0,
            overloaded: false,
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// A request has ended, well after `latency`, while `in_flight` requests were under way.
    pub(super) fn observe(
        &mut self,
        latency: Option<Duration>,
        in_flight: u32,
        overload: bool,
        now: Instant,
    ) {
        let begun = *self.begun.get_or_insert(now);
        self.sum += latency.unwrap_or_default();
        self.timed += u32::from(latency.is_some());
        self.count += 1;
        self.peak = self.peak.max(in_flight);
        self.overloaded |= overload;
        if self.count >= SAMPLES && now - begun >= WINDOW {
            self.close();
            self.begun = Some(now);
        }
    }

    fn close(&mut self) {
        if self.overloaded {
            self.limit *= BACKOFF;
        } else if self.timed > 0 {
            self.learn(self.sum.as_secs_f64() / f64::from(self.timed));
        }
        self.limit = self.limit.clamp(LEAST, MOST);
        (self.sum, self.timed, self.count, self.peak) = (Duration::ZERO, 0, 0, 0);
        self.overloaded = false;
    }
}

impl Gradient {
    /// Compares the latency of a window with the best.
    fn learn(&mut self, short: f64) {
        self.best = self.best.min(short);
        if f64::from(self.peak) * 2.0 >= self.limit {
            let gradient = (TOLERANCE * self.best / short.max(1e-9)).clamp(0.5, 1.0);
            let next = self.limit * gradient + QUEUE;
            self.weigh(next < self.limit, short);
            self.limit += (next - self.limit) * SMOOTHING;
        }
    }

    /// Sees whether shrinking helps.
    fn weigh(&mut self, shrinks: bool, short: f64) {
        let (limit, slow) = match self.shrinking {
            // The latency from which it shrinks may show only some windows later.
            Some((limit, slow)) if shrinks => (limit, slow.max(short)),
            _ => {
                self.shrinking = shrinks.then_some((self.limit, short));
                return;
            }
        };
        self.shrinking = Some((limit, slow));
        if self.limit > limit / 2.0 {
            return;
        }
        if short > slow * HELPED {
            self.best = short;
        }
        self.shrinking = Some((self.limit, short));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The latency of a service that works on `capacity` requests at once, 10 ms each, and queues the rest.
    fn latency(in_flight: u32, capacity: u32) -> Duration {
        Duration::from_millis(10).mul_f64(f64::from(in_flight.max(capacity)) / f64::from(capacity))
    }

    /// Runs with as many requests at once as the limit allows, for `seconds`.
    fn run(gradient: &mut Gradient, now: &mut Instant, seconds: u32, capacity: u32) {
        for _ in 0..seconds * 100 {
            let in_flight = gradient.limit();
            for _ in 0..in_flight {
                let latency = latency(in_flight, capacity);
                gradient.observe(Some(latency), in_flight, false, *now);
            }
            *now += Duration::from_millis(10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_finds_the_capacity_and_follows_it() {
        let (mut gradient, mut now) = (Gradient::new(), Instant::now());
        run(&mut gradient, &mut now, 60, 100);
        assert!(
            (90..=220).contains(&gradient.limit()),
            "{}",
            gradient.limit()
        );
        let before = gradient.limit();
        run(&mut gradient, &mut now, 20, 25);
        assert!(gradient.limit() < before / 2, "{}", gradient.limit());
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_has_become_slower_is_not_throttled_for_it() {
        let (mut gradient, mut now) = (Gradient::new(), Instant::now());
        for latency in [10, 40] {
            for _ in 0..6000 {
                let in_flight = gradient.limit().min(50);
                for _ in 0..in_flight {
                    gradient.observe(Some(Duration::from_millis(latency)), in_flight, false, now);
                }
                now += Duration::from_millis(10);
            }
            assert!(gradient.limit() >= 50, "{latency}: {}", gradient.limit());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_overload_that_is_said_shrinks_it_and_idleness_leaves_it() {
        let (mut gradient, mut now) = (Gradient::new(), Instant::now());
        for _ in 0..1000 {
            gradient.observe(Some(Duration::from_millis(1)), 1, false, now);
            now += Duration::from_millis(10);
        }
        assert_eq!(gradient.limit(), 20, "one request at once says nothing");
        for _ in 0..1000 {
            gradient.observe(None, 20, true, now);
            now += Duration::from_millis(10);
        }
        assert_eq!(gradient.limit(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn quick_failures_do_not_look_like_quick_answers() {
        let (mut gradient, mut now) = (Gradient::new(), Instant::now());
        run(&mut gradient, &mut now, 30, 100);
        let before = gradient.limit();
        for _ in 0..1000 {
            gradient.observe(None, before, false, now);
            now += Duration::from_millis(1);
        }
        run(&mut gradient, &mut now, 5, 100);
        assert!(gradient.limit() >= before * 9 / 10, "{}", gradient.limit());
    }
}
