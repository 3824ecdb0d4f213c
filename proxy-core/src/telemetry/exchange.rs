//! The story of one exchange, told by the layers that it passes, read by the access log and the metrics.
//!
//! An [`Exchange`] travels in the request's extensions. Layers write what they decided and never
//! read what another layer wrote, except for the endpoints that were tried already.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::HOST;
use http::{Request, request};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::EntryCounters;
use crate::address::Address;
use crate::body::Body;
use crate::fault::{Fault, Reason};

/// What happened to one request, so far.
#[derive(Debug, Default)]
pub struct Story {
    /// The endpoints that were tried, in order, one a try.
    pub tried: SmallVec<[Address; 2]>,
    /// The fault that the response reports, or that cut the response short.
    pub fault: Option<(Reason, String)>,
    /// The route that was taken, on a gateway.
    pub route: Option<Arc<str>>,
    /// Why a further retry was not made.
    pub denied: Option<super::Denied>,
    /// What is told to whoever asked for an explanation; none: nobody did.
    pub explained: Option<Box<Explained>>,
}

/// What an explanation tells beyond the rest of the story.
#[derive(Debug, Default)]
pub struct Explained {
    /// The tries that have ended, in order.
    pub tries: Vec<Tried>,
    /// The path whose policies held.
    pub path: Option<String>,
    /// Retries that are left of what the entry's requests have earned.
    pub budget: Option<f64>,
}

/// One try.
#[derive(Debug)]
pub struct Tried {
    /// Where it went.
    pub endpoint: Address,
    /// When it began, from the beginning of the exchange on.
    pub at: Duration,
    /// How long it took to the head of the answer.
    pub took: Duration,
    /// The status of the answer, or the fault.
    pub outcome: String,
}

/// What an exchange keeps occupied until it is over: the downstream connection that it came on.
pub trait Occupied: Send + Sync + std::fmt::Debug {
    /// Who sent the request.
    fn peer(&self) -> SocketAddr;

    /// The address that they connected to, where that is known.
    fn met_at(&self) -> Option<SocketAddr> {
        None
    }

    /// Whether something can be sent to them before the response itself.
    fn takes_early(&self) -> bool {
        false
    }

    /// Sends that before the response itself, or nothing where that cannot be.
    fn tell_early(&self, _head: &[u8]) {}

    /// Whether the process ends before what is under way.
    fn is_cut(&self) -> bool {
        false
    }

    /// The exchange is over.
    fn release(&self);
}

/// One request and its response.
#[derive(Debug, Clone)]
pub struct Exchange(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    counters: Arc<EntryCounters>,
    /// Those of the entry that a route led to.
    routed: OnceLock<Arc<EntryCounters>>,
    occupied: Option<Arc<dyn Occupied>>,
    timed_out: AtomicBool,
    explains: AtomicBool,
    /// Whether the request says that it came by another proxy.
    passed_on: AtomicBool,
    wants_fresh: AtomicBool,
    /// When the request must be answered, in nanoseconds from its start; 0 for never.
    deadline: AtomicU64,
    /// Whether the request itself asks for that.
    deadline_asked: AtomicBool,
    /// Whether there is an endpoint that was not tried yet.
    alternative: AtomicBool,
    /// Whether a try is given up because another one was faster.
    outrun: AtomicBool,
    received: AtomicU64,
    head: Mutex<Option<request::Parts>>,
    story: Mutex<Story>,
}

impl Exchange {
    /// The exchange of a request whose head has just been read; `occupied` is released when the last clone is gone.
    pub fn begin(counters: Arc<EntryCounters>, occupied: Option<Arc<dyn Occupied>>) -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            counters,
            routed: OnceLock::new(),
            occupied,
            timed_out: AtomicBool::new(false),
            explains: AtomicBool::new(false),
            passed_on: AtomicBool::new(false),
            wants_fresh: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
            deadline_asked: AtomicBool::new(false),
            alternative: AtomicBool::new(false),
            outrun: AtomicBool::new(false),
            received: AtomicU64::new(0),
            head: Mutex::new(None),
            story: Mutex::default(),
        }))
    }

    /// Who sent the request, where that is known.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.occupied.as_ref().map(|occupied| occupied.peer())
    }

    /// Notes that the request says to have come by another proxy: who sent it is not who asked.
    pub fn note_passed_on(&self) {
        self.0.passed_on.store(true, Relaxed);
    }

    /// Whether the request says that it came by another proxy.
    pub fn is_passed_on(&self) -> bool {
        self.0.passed_on.load(Relaxed)
    }

    /// The address that whoever sent the request connected to, where that is known.
    pub fn met_at(&self) -> Option<SocketAddr> {
        self.0.occupied.as_ref()?.met_at()
    }

    /// Sends an interim response to whoever sent the request, if that can be: `write` writes its head.
    pub fn tell_early(&self, write: impl FnOnce() -> Vec<u8>) {
        if let Some(occupied) = self.0.occupied.as_ref().filter(|o| o.takes_early()) {
            occupied.tell_early(&write());
        }
    }

    /// Whether the process ends before the exchange does.
    pub fn is_cut(&self) -> bool {
        self.0
            .occupied
            .as_ref()
            .is_some_and(|occupied| occupied.is_cut())
    }

    /// When the request's head had been read.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The counters of the worker and entry that serve it.
    pub fn counters(&self) -> &Arc<EntryCounters> {
        self.0.routed.get().unwrap_or(&self.0.counters)
    }

    /// Counts by these from now on: those of the entry that a route leads to.
    pub fn count_by(&self, counters: &Arc<EntryCounters>) {
        let _ = self.0.routed.set(Arc::clone(counters));
    }

    /// Notes that a try was given up for being slow.
    pub fn note_timeout(&self) {
        self.0.timed_out.store(true, Relaxed);
    }

    /// Notes when the request must be answered, counted from its start, and whether it says so itself.
    pub fn note_deadline(&self, limit: Option<Duration>, asked: bool) {
        let nanos = limit.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
        });
        self.0.deadline.store(nanos, Relaxed);
        self.0.deadline_asked.store(asked, Relaxed);
    }

    /// When the request must be answered.
    pub fn deadline(&self) -> Option<Instant> {
        match self.0.deadline.load(Relaxed) {
            0 => None,
            nanos => self.0.started.checked_add(Duration::from_nanos(nanos)),
        }
    }

    /// The same, where the request says so itself.
    pub fn asked_deadline(&self) -> Option<Instant> {
        let asked = self.0.deadline_asked.load(Relaxed);
        asked.then(|| self.deadline()).flatten()
    }

    /// Notes whether there is an endpoint that was not tried yet.
    pub fn note_alternative(&self, is_there: bool) {
        self.0.alternative.store(is_there, Relaxed);
    }

    /// Whether there is an endpoint that was not tried yet.
    pub fn has_alternative(&self) -> bool {
        self.0.alternative.load(Relaxed)
    }

    /// Notes that tries that end now are given up because another one was faster.
    pub fn note_outrun(&self, outrun: bool) {
        self.0.outrun.store(outrun, Relaxed);
    }

    /// Whether tries that end now are given up because another one was faster.
    pub fn is_outrun(&self) -> bool {
        self.0.outrun.load(Relaxed)
    }

    /// Whether a try was given up for being slow.
    pub fn timed_out(&self) -> bool {
        self.0.timed_out.load(Relaxed)
    }

    /// Asks that an explanation be kept.
    pub fn explain(&self) {
        self.0.explains.store(true, Relaxed);
        self.story(|story| story.explained = Some(Box::default()));
    }

    /// Adds to the explanation, where one was asked for.
    pub fn explained(&self, tell: impl FnOnce(&mut Explained)) {
        if self.0.explains.load(Relaxed) {
            self.story(|story| story.explained.as_deref_mut().map(tell));
        }
    }

    /// Asks that further tries go out on connections that were never idle.
    pub fn want_fresh(&self) {
        self.0.wants_fresh.store(true, Relaxed);
    }

    /// Whether tries must go out on connections that were never idle.
    pub fn wants_fresh(&self) -> bool {
        self.0.wants_fresh.load(Relaxed)
    }

    /// Lays down the head of a request that was sent, so that a retry finds it: it need not be copied
    /// for requests that are not retried. The head must not hold this exchange itself.
    pub fn lay_down(&self, head: request::Parts) {
        *self.0.head.lock() = Some(head);
    }

    /// Takes up the head that was laid down last.
    pub fn take_up(&self) -> Option<request::Parts> {
        self.0.head.lock().take()
    }

    /// Adds to the bytes of the request's body.
    pub fn add_received(&self, bytes: u64) {
        self.0.received.fetch_add(bytes, Relaxed);
    }

    /// Bytes of the request's body so far.
    pub fn received(&self) -> u64 {
        self.0.received.load(Relaxed)
    }

    /// Reads or adds to the story.
    pub fn story<T>(&self, tell: impl FnOnce(&mut Story) -> T) -> T {
        tell(&mut self.0.story.lock())
    }

    /// Records the fault that ends this exchange, and counts it.
    pub fn fail(&self, fault: &Fault) {
        self.counters().fault(fault.reason());
        self.story(|story| story.fault = Some((fault.reason(), fault.story())));
    }
}

/// A request that was not sent yet. Whatever becomes of it, its head is laid down for a retry.
#[derive(Debug)]
pub struct Carried {
    request: Request<Body>,
    exchange: Option<Exchange>,
    /// Whether its `Host` is an endpoint's and not its own.
    borrowed_host: bool,
}

impl Carried {
    /// Takes the exchange out of the request's extensions.
    pub fn new(mut request: Request<Body>) -> Self {
        let exchange = request.extensions_mut().remove::<Exchange>();
        Self {
            request,
            exchange,
            borrowed_host: false,
        }
    }

    /// The request.
    pub fn request(&mut self) -> &mut Request<Body> {
        &mut self.request
    }

    /// Its exchange, where it has one.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_ref()
    }

    /// The request was given a `Host` that the next endpoint must not see.
    pub fn borrow_host(&mut self) {
        self.borrowed_host = true;
    }

    /// The same, of which nothing is left here.
    pub fn take(&mut self) -> Self {
        Self {
            request: std::mem::take(&mut self.request),
            exchange: self.exchange.take(),
            borrowed_host: self.borrowed_host,
        }
    }

    /// The request as it was, with its exchange.
    pub fn release(mut self) -> Request<Body> {
        let mut request = std::mem::take(&mut self.request);
        if let Some(exchange) = self.exchange.take() {
            request.extensions_mut().insert(exchange);
        }
        request
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            let (mut head, _) = std::mem::take(&mut self.request).into_parts();
            if self.borrowed_host {
                head.headers.remove(HOST);
            }
            exchange.lay_down(head);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(occupied) = &self.occupied {
            occupied.release();
        }
    }
}
