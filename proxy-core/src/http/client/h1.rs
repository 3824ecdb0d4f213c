//! The pool of HTTP/1.1 connections to one endpoint, on one worker.
//!
//! Connections are taken last in, first out, so that those not needed age and close. When all are
//! busy up to the limit, requests wait in line, up to a limit of their own.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::streaming::{Streaming, part};
use super::target::Target;
use crate::body::{Body, End, Watch};
use crate::fault::{Fault, Reason};
use crate::http::http1::{Failed, ResponseHead, Sending, Wire};
use crate::net::Stream;
use crate::net::proxy_protocol::Ends;
use crate::telemetry::Exchange;
use crate::tls::Offer;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Sweeps that a connection may have been idle through for a request that may not be repeated. A
/// sweep comes every second, and no server in wide use closes an idle connection sooner than
/// gunicorn's 2 s.
const FRESH: u64 = 0;

/// Responses in a row that may get lost on connections that had been idle before none is reused for [`SUSPICION`].
const STALE: u32 = 2;

/// Sweeps, and so seconds, for which connections are not reused after that.
const SUSPICION: u64 = 10;

/// Sweeps that a connection may be idle through which is for one client alone: that may be gone, and upstreams of a
/// few threads have none left for connections without a request.
const OF_ONE: u64 = 5;

/// The connections to one endpoint.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "a connection goes in and out with every request"
)]
struct State {
    idle: Vec<Box<Connection>>,
    open: usize,
    waiting: VecDeque<oneshot::Sender<Handed>>,
    /// Sweeps so far: the pool's clock, so that no request reads one.
    sweeps: u64,
    /// Stale connections met in a row.
    stale: u32,
    /// The sweep until which connections are used once.
    once_until: u64,
}

/// What someone in line gets: a connection, or the right to open one.
#[derive(Debug)]
enum Handed {
    Connection(Box<Connection>),
    Place(Place),
}

/// What someone who asks for a connection gets.
enum Claim {
    Got(Handed),
    Wait(oneshot::Receiver<Handed>),
    Full,
}

/// Which idle connections will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Any.
    Any,
    /// Those that were used a moment ago: for a request that may not be repeated.
    Recent,
    /// None: for a request that has met a stale one already.
    None,
}

/// A connection that is nobody's at the moment, or the request's that took it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) wire: Wire,
    opened: Instant,
    /// The sweep after which it was given back.
    parked: u64,
    /// Sweeps that it may be idle through: ours or, when fewer, what its server announced.
    idle: u64,
    /// Whether it served a request already.
    pub(super) reused: bool,
    /// Between whom it is, where the upstream was told: for nobody else's requests.
    ends: Option<Ends>,
    place: Place,
}

/// One of the connections that the pool may have open, until dropped.
#[derive(Debug)]
struct Place(Weak<Pool>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(pool) = self.0.upgrade() else { return };
        // Whoever waits takes over the place; one that gave up waiting hands it on by dropping it, which ends here again.
        let next = {
            let mut state = pool.state.lock();
            let next = state.next_waiting();
            if next.is_none() {
                state.open -= 1;
            }
            next
        };
        if let Some(next) = next {
            let _ = next.send(Handed::Place(Place(Arc::downgrade(&pool))));
        }
    }
}

impl State {
    fn next_waiting(&mut self) -> Option<oneshot::Sender<Handed>> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|waiting| !waiting.is_closed())
    }
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            state: Mutex::default(),
        }
    }

    /// Between whom a connection is to be that carries this exchange.
    pub(super) fn ends(&self, exchange: Option<&Exchange>) -> Option<Ends> {
        self.target.ends(exchange)
    }

    /// An idle connection between `ends`, if there is one that will do.
    pub(super) fn idle(&self, reuse: Reuse, ends: Option<Ends>) -> Option<Box<Connection>> {
        self.pop_idle(&mut self.state.lock(), reuse, ends)
    }

    /// A connection between `ends` that is ready to send.
    pub(super) async fn take(
        self: &Arc<Self>,
        reuse: Reuse,
        ends: Option<Ends>,
    ) -> Result<Box<Connection>, Fault> {
        match self.claim(reuse, ends) {
            Claim::Got(Handed::Connection(connection)) => Ok(connection),
            Claim::Got(Handed::Place(place)) => self.open(place, ends).await,
            Claim::Full => Err(self.full()),
            Claim::Wait(receiver) => match receiver.await {
                Ok(Handed::Connection(connection))
                    if reuse == Reuse::None || connection.ends != ends =>
                {
                    let Connection { place, .. } = *connection;
                    self.open(place, ends).await
                }
                Ok(Handed::Connection(connection)) => Ok(connection),
                Ok(Handed::Place(place)) => self.open(place, ends).await,
                Err(_) => Err(self.full()),
            },
        }
    }

    fn claim(self: &Arc<Self>, reuse: Reuse, ends: Option<Ends>) -> Claim {
        let mut state = self.state.lock();
        if let Some(connection) = self.pop_idle(&mut state, reuse, ends) {
            return Claim::Got(Handed::Connection(connection));
        }
        if state.open < self.target.params.connections {
            state.open += 1;
            return Claim::Got(Handed::Place(Place(Arc::downgrade(self))));
        }
        if !state.idle.is_empty() {
            // The idle ones will not do, and there is no room for another: the oldest makes way.
            let Connection { place, .. } = *state.idle.remove(0);
            return Claim::Got(Handed::Place(place));
        }
        if state.waiting.len() >= self.target.params.pending {
            state.waiting.retain(|waiting| !waiting.is_closed());
        }
        if state.waiting.len() >= self.target.params.pending {
            return Claim::Full;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        Claim::Wait(receiver)
    }

    /// Closes what has been idle or open for too long. To be called once a second.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut closing = Vec::new();
        let mut state = self.state.lock();
        state.sweeps += 1;
        let sweeps = state.sweeps;
        for mut connection in std::mem::take(&mut state.idle) {
            let is_young = !self.is_old(&connection, now);
            if is_young && connection.wire.is_open() && sweeps - connection.parked < connection.idle
            {
                state.idle.push(connection);
            } else {
                closing.push(connection);
            }
        }
        drop(state);
        // Dropped without the lock: each gives its place back.
        drop(closing);
    }

    /// A request was lost on a connection that had been idle: the others are most likely as stale.
    pub(super) fn found_stale(&self) {
        let mut state = self.state.lock();
        state.stale += 1;
        if state.stale >= STALE {
            state.once_until = state.sweeps + SUSPICION;
        }
        let closing = std::mem::take(&mut state.idle);
        drop(state);
        drop(closing);
    }

    fn pop_idle(
        &self,
        state: &mut parking_lot::MutexGuard<'_, State>,
        reuse: Reuse,
        ends: Option<Ends>,
    ) -> Option<Box<Connection>> {
        if reuse == Reuse::None {
            return None;
        }
        // The last one, where the upstream is not told for whom a connection is: then all will do.
        while let Some(at) = state.idle.iter().rposition(|idle| idle.ends == ends) {
            let mut connection = state.idle.remove(at);
            if !connection.wire.is_open() {
                parking_lot::MutexGuard::unlocked(state, || drop(connection));
                continue;
            }
            if reuse == Reuse::Recent && state.sweeps - connection.parked > FRESH {
                // Those below it have been idle for longer still.
                state.idle.insert(at, connection);
                return None;
            }
            return Some(connection);
        }
        None
    }

    fn is_old(&self, connection: &Connection, now: Instant) -> bool {
        self.target
            .params
            .age
            .is_some_and(|age| now - connection.opened >= age)
    }

    fn full(&self) -> Fault {
        let detail = format!(
            "all connections to {} are taken, and the line for one is full",
            self.target.address()
        );
        Fault::unseen(Reason::ConnectionLimitReached, detail)
    }

    async fn open(
        self: &Arc<Self>,
        place: Place,
        ends: Option<Ends>,
    ) -> Result<Box<Connection>, Fault> {
        let stream = self.target.connect(Offer::Http1, ends).await?;
        Ok(self.connection(stream, place, ends))
    }

    fn connection(&self, stream: Stream, place: Place, ends: Option<Ends>) -> Box<Connection> {
        let idle = sweeps(self.target.params.idle);
        Box::new(Connection {
            wire: Wire::new(stream, self.target.params.max_headers),
            opened: Instant::now(),
            parked: 0,
            idle: ends.map_or(idle, |_| idle.min(OF_ONE)),
            reused: false,
            ends,
            place,
        })
    }

    /// Takes over a connection on which nothing was said yet.
    pub(super) fn adopt(self: &Arc<Self>, stream: Stream) {
        let mut state = self.state.lock();
        state.open += 1;
        let mut connection = self.connection(stream, Place(Arc::downgrade(self)), None);
        connection.parked = state.sweeps;
        match state.next_waiting() {
            Some(next) => {
                drop(state);
                let _ = next.send(Handed::Connection(connection));
            }
            None => state.idle.push(connection),
        }
    }

    /// Whether there is no connection.
    pub(super) fn is_unused(&self) -> bool {
        self.state.lock().open == 0
    }

    /// Takes back a connection that can carry another exchange.
    pub(super) fn park(&self, mut connection: Box<Connection>) {
        connection.wire.rest();
        let mut state = self.state.lock();
        if connection.reused {
            state.stale = 0;
        }
        if state.once_until > state.sweeps || connection.idle == 0 {
            drop(state);
            return;
        }
        connection.parked = state.sweeps;
        connection.reused = true;
        match state.next_waiting() {
            Some(next) => {
                drop(state);
                // One that gave up in this moment drops the connection, which frees its place.
                let _ = next.send(Handed::Connection(connection));
            }
            None => state.idle.push(connection),
        }
    }
}

/// A time as a number of sweeps, at least one.
fn sweeps(time: Duration) -> u64 {
    time.as_secs().max(1)
}

/// A request on its connection.
pub(super) struct Sent {
    connection: Box<Connection>,
    sending: Sending,
}

impl Connection {
    /// Begins to send a request. An error means that nothing of it was written, and that it has its body still.
    pub(super) fn send(mut self: Box<Self>, request: &mut Request<Body>) -> io::Result<Sent> {
        let sending = self.wire.send(request)?;
        Ok(Sent {
            connection: self,
            sending,
        })
    }
}

impl Sent {
    /// Whether the connection carried an exchange before this one.
    pub(super) fn is_reused(&self) -> bool {
        self.connection.reused
    }

    /// Goes on sending, and waits for the head of the response.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        interim: impl Fn(Response<()>),
    ) -> Poll<Result<ResponseHead, Failed>> {
        let wire = &mut self.connection.wire;
        self.sending.poll_head(wire, cx, interim)
    }

    /// Binds the connection to the response, and gives it back once that is over, which may be now.
    pub(super) fn bind(self, pool: &Arc<Pool>, head: ResponseHead) -> Response<Body> {
        let mut connection = self.connection;
        if head.framed.keep_alive
            && let Some(announced) = announced_idle(head.response.headers())
        {
            connection.idle = connection.idle.min(announced);
        }
        if head.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Connection { wire, place, .. } = *connection;
            let mut response = head.response.map(|()| Body::empty());
            response.extensions_mut().insert(wire.switch());
            response.body_mut().watch(Box::new(Held { _place: place }));
            return response;
        }
        let mut rest = self.sending.rest(&head, &connection.wire);
        let body = match rest.whole(&mut connection.wire) {
            Some(bytes) => {
                part(connection, rest, Arc::downgrade(pool));
                Body::full(bytes)
            }
            None => Body::streamed(Streaming::new(connection, rest, Arc::downgrade(pool))),
        };
        head.response.map(|()| body)
    }
}

/// A place that is taken as long as a tunnel lasts.
struct Held {
    _place: Place,
}

impl Watch for Held {
    fn end(&mut self, _: End<'_>) {}
}

/// The server's own idle timeout (`Keep-Alive: timeout=N`, as Node and Apache send it) in sweeps,
/// less one for the way and one for the sweep's grain.
fn announced_idle(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(&KEEP_ALIVE)?.to_str().ok()?;
    let seconds = value
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))?;
    Some(seconds.trim().parse::<u64>().ok()?.saturating_sub(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_idle_timeout_is_read() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            announced_idle(&headers)
        };
        assert_eq!(read("timeout=5, max=100"), Some(3));
        assert_eq!(read("max=100,timeout=1"), Some(0));
        assert_eq!(read("timeout=soon"), None);
    }
}
