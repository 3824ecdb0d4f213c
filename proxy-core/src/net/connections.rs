//! The book of open downstream connections of one entry on one worker, so that a drain reaches every one of them.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::Secured;
use super::proxy_protocol::Ends;
use crate::lifecycle::Phase;
use crate::telemetry::{EntryCounters, Occupied};

/// The most that waits to be sent before a response: what is more is left out, as whoever sends it may.
const EARLY: usize = 64 * 1024;

/// One open downstream connection.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    peer: SocketAddr,
    book: Arc<Connections>,
    phase: AtomicU8,
    waker: AtomicWaker,
    moved: AtomicBool,
    reading_head: AtomicBool,
    late: AtomicBool,
    multiplexed: AtomicBool,
    reset: AtomicBool,
    requests: AtomicU64,
    active: AtomicU32,
    awaiting: AtomicU32,
    secured: OnceLock<Arc<Secured>>,
    ends: OnceLock<Box<Ends>>,
    takes_early: AtomicBool,
    early: Mutex<Vec<u8>>,
}

impl Connection {
    /// What a future comes to, or nothing once a drain wants the connection closed.
    pub async fn unless_closing<T>(&self, part: impl Future<Output = T>) -> Option<T> {
        let mut part = pin!(part);
        let until = std::future::poll_fn(|cx| {
            self.on_phase(cx.waker());
            if self.phase() == Phase::Closing {
                return Poll::Ready(None);
            }
            part.as_mut().poll(cx).map(Some)
        });
        until.await
    }

    /// The client's address: the other end's, or where that passes on somebody's connection, as it says.
    pub fn peer(&self) -> SocketAddr {
        self.ends.get().map_or(self.peer, |ends| ends.source)
    }

    /// Between whom the connection is; none where nobody has said or asked.
    pub fn ends(&self) -> Option<Ends> {
        self.ends.get().map(|ends| **ends)
    }

    /// The connection is passed on for one between these, or is between these itself. Only the first call counts.
    pub fn note_ends(&self, ends: Ends) {
        let _ = self.ends.set(Box::new(ends));
    }

    /// The TLS session; none where there is no TLS, or not yet.
    pub fn secured(&self) -> Option<&Arc<Secured>> {
        self.secured.get()
    }

    /// The TLS handshake is over. Only the first call counts.
    pub fn note_secured(&self, secured: Arc<Secured>) {
        let _ = self.secured.set(secured);
    }

    /// From now on whoever serves the connection sends what is told early, or does not.
    pub fn take_early(&self, takes: bool) {
        self.takes_early.store(takes, Relaxed);
    }

    /// What is to be sent before the response, of what was told since the last call.
    pub fn told_early(&self) -> Vec<u8> {
        match self.takes_early.load(Relaxed) {
            true => std::mem::take(&mut *self.early.lock()),
            false => Vec::new(),
        }
    }

    /// How far this connection's drain has come.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    /// Wakes the task of `waker` at the next change of phase.
    pub fn on_phase(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Bytes moved on the connection.
    pub fn note_bytes(&self, read: bool) {
        self.moved.store(true, Relaxed);
        if read && self.active.load(Relaxed) == 0 && !self.multiplexed.load(Relaxed) {
            self.reading_head.store(true, Relaxed);
        }
    }

    /// The connection speaks HTTP/2: bytes between requests need not be the head of one.
    pub fn note_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
        self.reading_head.store(false, Relaxed);
    }

    /// Whether bytes moved since the last call.
    pub fn take_moved(&self) -> bool {
        self.moved.swap(false, Relaxed)
    }

    /// A request's head was read; [`Occupied::release`] says that its exchange is over.
    pub fn begin(&self) {
        self.reading_head.store(false, Relaxed);
        self.late.store(false, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.active.fetch_add(1, Relaxed);
    }

    /// A request waits for the head of its response: until it has one, its own timeouts bound the wait.
    pub fn note_awaiting(&self) {
        self.awaiting.fetch_add(1, Relaxed);
    }

    /// The wait is over, one way or the other.
    pub fn note_answered(&self) {
        self.awaiting.fetch_sub(1, Relaxed);
        self.moved.store(true, Relaxed);
    }

    /// Whether a request waits for the head of its response.
    pub fn is_awaiting(&self) -> bool {
        self.awaiting.load(Relaxed) > 0
    }

    /// Requests begun so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Whether bytes came since the last exchange that are not yet a request.
    pub fn reads_head(&self) -> bool {
        self.reading_head.load(Relaxed)
    }

    /// The head that is being read has taken too long. False when that was known already.
    pub fn note_late(&self) -> bool {
        !self.late.swap(true, Relaxed)
    }

    /// Whether a head has taken too long.
    pub fn is_late(&self) -> bool {
        self.late.load(Relaxed)
    }

    /// Exchanges that are not over.
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// Ends the connection with a reset, so that a message delimited by the close does not look complete.
    pub fn reset_on_close(&self) {
        self.reset.store(true, Relaxed);
    }

    /// The message that the close delimits has come to its end: an orderly close is right again.
    pub fn close_in_order(&self) {
        self.reset.store(false, Relaxed);
    }

    /// Whether the connection must end with a reset.
    pub fn must_reset(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// The counters that this connection's traffic is counted in.
    pub fn counters(&self) -> &Arc<EntryCounters> {
        &self.book.counters
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.book.open.lock().by_id.remove(&self.id);
        self.book
            .counters
            .downstream_connections
            .fetch_sub(1, Relaxed);
    }
}

impl Occupied for Connection {
    fn peer(&self) -> SocketAddr {
        Self::peer(self)
    }

    fn met_at(&self) -> Option<SocketAddr> {
        self.ends().map(|ends| ends.destination)
    }

    fn takes_early(&self) -> bool {
        self.takes_early.load(Relaxed)
    }

    fn tell_early(&self, head: &[u8]) {
        let mut early = self.early.lock();
        if early.len() + head.len() <= EARLY {
            early.extend_from_slice(head);
        }
    }

    fn is_cut(&self) -> bool {
        self.book.cut.load(Relaxed)
    }

    fn release(&self) {
        self.active.fetch_sub(1, Relaxed);
        self.moved.store(true, Relaxed);
    }
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    phase: Phase,
    by_id: HashMap<u64, std::sync::Weak<Connection>>,
}

/// All open connections of one entry on one worker.
#[derive(Debug)]
pub struct Connections {
    counters: Arc<EntryCounters>,
    cut: AtomicBool,
    open: Mutex<Open>,
}

impl Connections {
    /// An empty book.
    pub fn new(counters: Arc<EntryCounters>) -> Arc<Self> {
        Arc::new(Self {
            counters,
            cut: AtomicBool::new(false),
            open: Mutex::default(),
        })
    }

    /// What is served now will not be served to its end: the process ends.
    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    /// Enters a connection that was just accepted; it leaves the book when dropped.
    pub fn open(self: &Arc<Self>, peer: SocketAddr) -> Arc<Connection> {
        self.counters.downstream_connections.fetch_add(1, Relaxed);
        self.counters.downstream_accepted.fetch_add(1, Relaxed);
        let mut open = self.open.lock();
        open.next += 1;
        let connection = Arc::new(Connection {
            id: open.next,
            peer,
            book: Arc::clone(self),
            phase: AtomicU8::new(open.phase as u8),
            waker: AtomicWaker::new(),
            moved: AtomicBool::new(true),
            reading_head: AtomicBool::new(false),
            late: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            active: AtomicU32::new(0),
            awaiting: AtomicU32::new(0),
            secured: OnceLock::new(),
            ends: OnceLock::new(),
            takes_early: AtomicBool::new(false),
            early: Mutex::default(),
        });
        open.by_id
            .insert(connection.id, Arc::downgrade(&connection));
        connection
    }

    /// Moves every connection, and those still to come, on to `phase`.
    pub fn advance(&self, phase: Phase) {
        let reached: Vec<Arc<Connection>> = {
            let mut open = self.open.lock();
            open.phase = open.phase.max(phase);
            open.by_id
                .values()
                .filter_map(std::sync::Weak::upgrade)
                .collect()
        };
        for connection in reached {
            connection.phase.fetch_max(phase as u8, Relaxed);
            connection.waker.wake();
        }
    }

    /// Closes the connections that are open now, each after the exchange that it serves. Later ones are served as before.
    pub fn close_open(&self) {
        let open: Vec<Arc<Connection>> = {
            let open = self.open.lock();
            open.by_id
                .values()
                .filter_map(std::sync::Weak::upgrade)
                .collect()
        };
        for connection in open {
            connection.phase.fetch_max(Phase::Closing as u8, Relaxed);
            connection.waker.wake();
        }
    }

    /// How many are open, and how many of those serve a request.
    pub fn count(&self) -> (usize, usize) {
        let all: Vec<Arc<Connection>> = self
            .open
            .lock()
            .by_id
            .values()
            .filter_map(std::sync::Weak::upgrade)
            .collect();
        (
            all.len(),
            all.iter()
                .filter(|connection| connection.active() > 0)
                .count(),
        )
    }

    /// Requests begun on connections that are open now, and connections ever accepted: changes whenever there is traffic.
    pub fn pulse(&self) -> u64 {
        let all: Vec<Arc<Connection>> = self
            .open
            .lock()
            .by_id
            .values()
            .filter_map(std::sync::Weak::upgrade)
            .collect();
        all.iter()
            .map(|c| c.requests())
            .sum::<u64>()
            .wrapping_add(self.counters.downstream_accepted.load(Relaxed))
    }
}
