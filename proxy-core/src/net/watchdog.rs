//! Finds connections on which nothing moves, with one timer a connection instead of several a request.
//!
//! The timer looks at flags that the stream sets, so that a request costs no timer at all. A limit
//! is therefore exceeded by at most one period: a quarter of the limit, and never more than 5 s.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::Connection;

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Nothing moved for the idle limit.
    Idle,
    /// A request's head was begun and not finished in time.
    Head,
}

/// Watches one connection.
#[derive(Debug)]
pub struct Watchdog {
    connection: Arc<Connection>,
    idle: Option<Duration>,
    head: Duration,
    period: Duration,
    timer: Pin<Box<Sleep>>,
    moved: Instant,
    head_since: Option<(u64, Instant)>,
}

impl Watchdog {
    /// Watches for `idle` without a byte (none: for ever), and for a head that takes longer than `head`.
    pub fn new(connection: Arc<Connection>, idle: Option<Duration>, head: Duration) -> Self {
        let shortest = idle.unwrap_or(head).min(head);
        let period = (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
        let timer = Box::pin(sleep(period));
        Self {
            connection,
            idle,
            head,
            period,
            timer,
            moved: Instant::now(),
            head_since: None,
        }
    }

    /// Ready when the connection must end.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            self.timer.as_mut().reset(now + self.period);
            if let Some(expired) = self.look(now) {
                return Poll::Ready(expired);
            }
        }
    }

    fn look(&mut self, now: Instant) -> Option<Expired> {
        if self.connection.take_moved() || self.connection.is_awaiting() {
            self.moved = now;
        } else if self.idle.is_some_and(|idle| now - self.moved >= idle) {
            return Some(Expired::Idle);
        }
        if !self.connection.reads_head() {
            self.head_since = None;
            return None;
        }
        let requests = self.connection.requests();
        match self.head_since {
            Some((seen, since)) if seen == requests => {
                (now - since >= self.head).then_some(Expired::Head)
            }
            _ => {
                self.head_since = Some((requests, now));
                None
            }
        }
    }
}
