//! The stack of a raw TCP entry: an endpoint, another one when it cannot be reached, then bytes both ways.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::address::Address;
use crate::balance::{Balance, Endpoint, EndpointSet, Outcome, outcome_of_fault};
use crate::fault::{Fault, Reason};
use crate::net::{Connection, Stream, Watchdog, tunnel};
use crate::plan::TcpPlan;
use crate::telemetry::{AccessLog, EntryCounters, Occupied, timestamp};
use crate::tls::{Acceptor, Connector, Offer, Reach, Reached};

/// How long a caller may take for its TLS handshake, as for the head of a request.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

/// Serves the connections of one entry on one worker.
#[derive(Clone)]
pub struct TcpStack {
    name: Arc<str>,
    plan: TcpPlan,
    balance: Balance<fn(&Arc<Endpoint>), ()>,
    tls: Option<Arc<Connector>>,
    counters: Arc<EntryCounters>,
    log: AccessLog,
}

impl TcpStack {
    /// Composes the stack.
    pub fn new(
        name: &Arc<str>,
        plan: &TcpPlan,
        endpoints: &Arc<EndpointSet>,
        counters: &Arc<EntryCounters>,
        log: &AccessLog,
        tls: Option<&Arc<Connector>>,
    ) -> Self {
        Self {
            tls: tls.cloned(),
            name: Arc::clone(name),
            plan: plan.clone(),
            balance: Balance::new(Arc::clone(endpoints), plan.balance.clone(), |_| ()),
            counters: Arc::clone(counters),
            log: log.clone(),
        }
    }

    /// Copies bytes until both ends are done. A connection that leads nowhere is reset, never closed as if it had ended well.
    pub fn serve(
        &self,
        tcp: TcpStream,
        connection: Arc<Connection>,
    ) -> impl Future<Output = ()> + Send {
        let downstream = Stream::accepted(tcp, Vec::new(), Arc::clone(&connection));
        self.serve_stream(downstream, connection)
    }

    /// The same with TLS towards the caller.
    pub async fn serve_tls(
        &self,
        tcp: TcpStream,
        acceptor: &Acceptor,
        connection: Arc<Connection>,
    ) {
        let shaken = connection.unless_closing(acceptor.accept(tcp, HANDSHAKE));
        match shaken.await {
            None => {}
            Some(Ok(accepted)) => {
                self.counters.handshakes.count(accepted.result());
                connection.note_secured(Arc::clone(&accepted.secured));
                let stream = Stream::accepted_secured(accepted.stream, Arc::clone(&connection));
                self.serve_stream(stream, connection).await;
            }
            Some(Err(refused)) => {
                self.counters.handshakes.count(refused.result);
                tracing::debug!(peer = %connection.peer(), detail = %refused.detail, "TLS handshake failed");
            }
        }
    }

    /// The same with a stream of which something was read, or that has TLS inside.
    pub async fn serve_stream(&self, mut downstream: Stream, connection: Arc<Connection>) {
        connection.begin();
        let begun = Instant::now();
        let mut tried = Vec::new();
        let mut reason = None;
        let (carried, failure) = match self.reach(&mut tried, &connection).await {
            Ok((endpoint, upstream)) => {
                let _load = endpoint.occupy();
                let mut upstream = upstream.counted(Arc::clone(&self.counters));
                let watchdog = Watchdog::new(
                    Arc::clone(&connection),
                    self.plan.idle,
                    std::time::Duration::MAX,
                );
                let carried = tunnel(&mut downstream, &mut upstream, watchdog).await;
                let failure = carried.ended.err().map(|error| error.to_string());
                ((carried.received, carried.sent), failure)
            }
            Err(fault) => {
                let story = fault.story();
                self.counters.fault(fault.reason());
                self.counters.failed.fetch_add(1, Relaxed);
                let endpoint = tried.last();
                let failures = &self.counters.failures;
                failures.told(Some(fault.reason()), &story, endpoint);
                reason = Some(fault.reason());
                ((0, 0), Some(story))
            }
        };
        if failure.is_some() {
            connection.reset_on_close();
        }
        self.record(&connection, carried, (reason, failure), &tried, begun);
        connection.release();
    }

    async fn reach(
        &self,
        tried: &mut Vec<Address>,
        connection: &Connection,
    ) -> Result<(Arc<Endpoint>, Reached), Fault> {
        let (set, peer) = (self.balance.set(), connection.peer());
        loop {
            let picked = match self.balance.pick(tried, peer) {
                Some(picked) => Some(picked),
                None => {
                    let _ = tokio::time::timeout(crate::balance::FIRST_LOOKUP, set.settled()).await;
                    self.balance.pick(tried, peer)
                }
            };
            let (endpoint, ()) = picked.ok_or_else(|| set.absence())?;
            tried.push(endpoint.address().clone());
            let begun = Instant::now();
            let host = endpoint.authority().host();
            let reach = Reach::new(endpoint.address(), host, self.tls.as_ref())
                .introducing(self.plan.send_proxy);
            let ends = connection.ends();
            match reach.connect(Offer::Nothing, self.plan.connect, ends).await {
                Ok(stream) => {
                    self.counters.connects.fetch_add(1, Relaxed);
                    self.counters.tries.fetch_add(1, Relaxed);
                    set.record(&endpoint, Outcome::Success, begun.elapsed(), Instant::now());
                    set.note_success(&endpoint);
                    return Ok((endpoint, stream));
                }
                Err(fault) => {
                    self.counters.connect_failures.fetch_add(1, Relaxed);
                    let (address, story) = (endpoint.address(), fault.story());
                    let failures = &self.counters.failures;
                    failures.tried(Some(fault.reason()), &story, address);
                    set.record(
                        &endpoint,
                        outcome_of_fault(&fault),
                        begun.elapsed(),
                        Instant::now(),
                    );
                    if tried.len() > self.plan.attempts as usize {
                        return Err(fault);
                    }
                    self.counters.retry(Some(fault.reason()));
                }
            }
        }
    }

    fn record(
        &self,
        connection: &Connection,
        (received, sent): (u64, u64),
        (reason, failure): (Option<Reason>, Option<String>),
        tried: &[Address],
        begun: Instant,
    ) {
        self.counters.received.fetch_add(received, Relaxed);
        self.counters.sent.fetch_add(sent, Relaxed);
        if !self.log.wants(failure.is_some()) {
            return;
        }
        let line = serde_json::json!({
            "time": timestamp(std::time::SystemTime::now()),
            "entry": &*self.name,
            "client": connection.peer().to_string(),
            "protocol": "TCP",
            "duration_ms": begun.elapsed().as_micros() as f64 / 1e3,
            "bytes_received": received,
            "bytes_sent": sent,
            "tries": tried.len(),
            "endpoint": tried.last().map(ToString::to_string),
            "aborted": failure.is_some(),
            "reason": reason.map(Reason::token),
            "detail": failure,
        });
        self.log.write(line.to_string().into_bytes());
    }
}
