//! One worker thread: a single-threaded runtime with its own listeners, connections and pools.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tower::{Service, ServiceBuilder};

use super::bound::Bound;
use super::entry::Entry;
use super::layout::{Key, Layout, Sockets, keys};
use crate::body::Body;
use crate::fault::Fault;
use crate::http::{ServerParams, serve, serve_tls};
use crate::lifecycle::Phase;
use crate::net::proxy_protocol::{Ends, receive};
use crate::net::{Acceptor, Connection, Connections};
use crate::plan::{HttpPlan, ServicePlan, TcpPlan};
use crate::stack::{
    Clients, Downstream, Mirrors, Reused, Seam, Shared, TcpStack, Upstream, downstream, upstream,
};
use crate::telemetry::{AccessLog, Which};
use crate::tls::Acceptor as TlsAcceptor;

/// How often pools are tidied.
const SWEEP: Duration = Duration::from_secs(1);

/// What the control thread tells a worker. Each is answered when it is done.
#[derive(Debug)]
pub(super) enum Command {
    /// Serve this from now on.
    Install(Arc<Layout>, Sockets),
    /// Accept nothing more; what the kernel has queued is still accepted.
    StopAccepting,
    /// Move all connections on.
    Advance(Phase),
    /// How much is going on?
    Count,
}

/// A worker's answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Status {
    /// Open downstream connections.
    pub(super) open: usize,
    /// Those with a request that is not over.
    pub(super) busy: usize,
    /// Changes with all traffic.
    pub(super) pulse: u64,
}

/// The control thread's end of a worker.
#[derive(Debug)]
pub(super) struct Worker {
    commands: mpsc::UnboundedSender<(Command, oneshot::Sender<Status>)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts worker number `index`.
    pub(super) fn start(index: usize) -> io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(work(index, received)),
                    Err(error) => tracing::error!(%error, "a worker could not start"),
                }
            })?;
        Ok(Self {
            commands,
            thread: Some(thread),
        })
    }

    /// Tells it something and waits until it is done.
    pub(super) async fn tell(&self, command: Command) -> Status {
        let (answer, done) = oneshot::channel();
        let _ = self.commands.send((command, answer));
        done.await.unwrap_or_default()
    }

    /// Ends the worker with whatever it still serves.
    pub(super) fn stop(mut self) {
        drop(std::mem::replace(
            &mut self.commands,
            mpsc::unbounded_channel().0,
        ));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a connection of an entry is served with; replaced as a whole at a reload.
enum Stack {
    Http(Arc<ArcSwap<HttpStack>>),
    Tcp(ArcSwap<TcpStack>),
}

struct HttpStack {
    downstream: Reused<Downstream>,
    upstream: Upstream,
    server: ServerParams,
    acceptor: Option<Arc<TlsAcceptor>>,
}

/// One entry on this worker.
pub(super) struct Served {
    entry: ArcSwap<Entry>,
    stack: Stack,
    connections: Arc<Connections>,
}

struct State {
    index: usize,
    phase: Phase,
    log: Option<AccessLog>,
    served: HashMap<Arc<str>, Arc<Served>>,
    bound: HashMap<Key, Bound>,
    /// Connections of entries that are gone, until they have ended.
    leaving: Vec<Arc<Connections>>,
}

async fn work(
    index: usize,
    mut commands: mpsc::UnboundedReceiver<(Command, oneshot::Sender<Status>)>,
) {
    let mut state = State {
        index,
        phase: Phase::Running,
        log: None,
        served: HashMap::new(),
        bound: HashMap::new(),
        leaving: Vec::new(),
    };
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            received = commands.recv() => {
                let Some((command, answer)) = received else { return };
                state.obey(command).await;
                let _ = answer.send(state.status());
            }
            _ = sweep.tick() => state.sweep(),
        }
    }
}

impl State {
    async fn obey(&mut self, command: Command) {
        match command {
            Command::Install(layout, sockets) => self.install(&layout, sockets).await,
            Command::StopAccepting => self.unbind(|_| true).await,
            Command::Advance(phase) => {
                self.phase = phase;
                self.served
                    .values()
                    .for_each(|served| served.connections.advance(phase));
            }
            Command::Count => {}
        }
    }

    fn status(&self) -> Status {
        let serving = self.served.values().map(|served| &served.connections);
        serving
            .chain(&self.leaving)
            .fold(Status::default(), |sum, connections| {
                let (open, busy) = connections.count();
                let pulse = sum.pulse.wrapping_add(connections.pulse());
                Status {
                    open: sum.open + open,
                    busy: sum.busy + busy,
                    pulse,
                }
            })
    }

    fn sweep(&mut self) {
        self.leaving.retain(|connections| connections.count().0 > 0);
        for served in self.served.values() {
            if let Stack::Http(stack) = &served.stack {
                stack.load().upstream.sweep();
            }
        }
    }

    async fn install(&mut self, layout: &Layout, mut sockets: Sockets) {
        let log_changed = self
            .log
            .as_ref()
            .is_none_or(|log| !log.is_same(&layout.log));
        self.log = Some(layout.log.clone());
        // Mirrors first: the stacks of the others lead to them.
        let is_mirror = |entry: &&Arc<Entry>| entry.plan.is_mirror();
        let (mirrors, others): (Vec<_>, Vec<_>) = layout.entries.iter().partition(is_mirror);
        for entry in mirrors.into_iter().chain(others) {
            let name = &entry.plan.name;
            let on = Place {
                index: self.index,
                log: &layout.log,
                mirrors: &|name| self.served.get(name)?.seam(),
            };
            match self.served.get(name) {
                Some(served) if !log_changed && Arc::ptr_eq(&served.entry.load(), entry) => {}
                Some(served) if served.update(entry, &on) => {}
                _ => {
                    let served = Served::new(entry, &on, self.phase);
                    if let Some(other_kind) = self.served.insert(Arc::clone(name), Arc::new(served))
                    {
                        self.leave(&other_kind);
                    }
                }
            }
            self.listen(entry, &mut sockets);
        }
        let wanted: HashSet<Key> = layout.entries.iter().flat_map(|e| keys(&e.plan)).collect();
        self.unbind(|key| !wanted.contains(key)).await;
        let names = layout.entries.iter().map(|entry| &entry.plan.name);
        let staying: HashSet<&Arc<str>> = names.collect();
        let known = self.served.keys();
        let gone: Vec<Arc<str>> = known.filter(|n| !staying.contains(n)).cloned().collect();
        for served in gone
            .iter()
            .filter_map(|name| self.served.remove(name))
            .collect::<Vec<_>>()
        {
            self.leave(&served);
        }
    }

    /// Lets the connections of an entry end by themselves; a drain still waits for them.
    fn leave(&mut self, served: &Served) {
        served.connections.advance(Phase::Closing);
        self.leaving.push(Arc::clone(&served.connections));
    }

    fn listen(&mut self, entry: &Entry, sockets: &mut Sockets) {
        let Some(served) = self.served.get(&entry.plan.name) else {
            return;
        };
        for key in keys(&entry.plan) {
            if let Some(bound) = self.bound.get(&key) {
                let before = bound.lead(served);
                if !Arc::ptr_eq(&before, served) {
                    // The address leads elsewhere now: kept connections must not go on leading where it did.
                    before.connections.close_open();
                }
            } else if let Some(socket) = sockets.remove(&key) {
                match Acceptor::new(socket) {
                    Ok(acceptor) => {
                        self.bound
                            .insert(key, Bound::start(acceptor, Arc::clone(served)));
                    }
                    Err(error) => {
                        tracing::error!(%error, entry = &*entry.plan.name, "cannot accept connections")
                    }
                }
            }
        }
    }

    async fn unbind(&mut self, which: impl Fn(&Key) -> bool) {
        let gone: Vec<Key> = self
            .bound
            .keys()
            .filter(|key| which(key))
            .cloned()
            .collect();
        for bound in gone
            .iter()
            .filter_map(|key| self.bound.remove(key))
            .collect::<Vec<_>>()
        {
            bound.stop().await;
        }
    }
}

/// What a stack is composed with besides its entry.
struct Place<'a> {
    /// The number of the worker.
    index: usize,
    log: &'a AccessLog,
    mirrors: Mirrors<'a>,
}

impl Served {
    fn new(entry: &Arc<Entry>, on: &Place<'_>, phase: Phase) -> Self {
        let connections = Connections::new(Arc::clone(entry.telemetry.worker(on.index)));
        connections.advance(phase);
        let stack = match &entry.plan.service {
            ServicePlan::Http(plan) => {
                let stack = http(entry, plan, on, Clients::new());
                Stack::Http(Arc::new(ArcSwap::from_pointee(stack)))
            }
            ServicePlan::Tcp(plan) => Stack::Tcp(ArcSwap::from_pointee(tcp(entry, plan, on))),
        };
        Self {
            stack,
            entry: ArcSwap::new(Arc::clone(entry)),
            connections,
        }
    }

    /// Follows a reload; false when the entry is now of another kind.
    fn update(&self, entry: &Arc<Entry>, on: &Place<'_>) -> bool {
        match (&self.stack, &entry.plan.service) {
            (Stack::Http(stack), ServicePlan::Http(plan)) => {
                let known = match reaches_alike(&self.entry.load(), entry) {
                    true => stack.load().upstream.clients(),
                    false => Clients::new(),
                };
                stack.store(Arc::new(http(entry, plan, on, known)))
            }
            (Stack::Tcp(stack), ServicePlan::Tcp(plan)) => {
                stack.store(Arc::new(tcp(entry, plan, on)))
            }
            _ => return false,
        }
        self.entry.store(Arc::clone(entry));
        true
    }

    /// What sends requests to it that came on no connection. It follows reloads: whoever holds it need not be
    /// composed anew.
    fn seam(&self) -> Option<Seam> {
        let Stack::Http(stack) = &self.stack else {
            return None;
        };
        let current = ServiceBuilder::new()
            .map_err(|never: Infallible| -> Fault { match never {} })
            .service(Current(Arc::clone(stack)));
        Some(Seam::new(current))
    }

    /// Serves a connection that was just accepted, once it has introduced itself where it has to.
    pub(super) fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let connection = self.connections.open(peer);
        let entry = self.entry.load();
        let Some(params) = entry.plan.proxied.clone() else {
            return self.serve(stream, connection);
        };
        let served = Arc::clone(self);
        tokio::spawn(async move {
            let introduction = receive(&stream, &connection, &params).await;
            connection.counters().introductions.count(introduction);
            if introduction.is_accepted() {
                served.serve(stream, connection);
            }
        });
    }

    fn serve(&self, stream: TcpStream, connection: Arc<Connection>) {
        let tells = self.entry.load().plan.send_proxy().is_some();
        if tells && let Ok(destination) = stream.local_addr() {
            let source = connection.peer();
            // Nothing new where a header has told that already.
            connection.note_ends(Ends {
                source,
                destination,
            });
        }
        match &self.stack {
            Stack::Http(stack) => {
                let service = Current(Arc::clone(stack));
                tokio::spawn(async move {
                    let stack = service.0.load();
                    let (server, acceptor) = (stack.server.clone(), stack.acceptor.clone());
                    drop(stack);
                    match acceptor {
                        None => serve(stream, connection, service, &server).await,
                        // Boxed: what speaks no TLS must not pay for it.
                        Some(acceptor) => {
                            let served = serve_tls(stream, &acceptor, connection, service, &server);
                            Box::pin(served).await;
                        }
                    }
                });
            }
            Stack::Tcp(stack) => {
                let (stack, entry) = (stack.load_full(), self.entry.load_full());
                tokio::spawn(async move {
                    match entry.acceptor() {
                        None => stack.serve(stream, connection).await,
                        Some(acceptor) => stack.serve_tls(stream, acceptor, connection).await,
                    }
                });
            }
        }
    }
}

/// Whether an entry speaks to its endpoints over just such connections as it did before a reload.
fn reaches_alike(before: &Entry, now: &Entry) -> bool {
    let (ServicePlan::Http(former), ServicePlan::Http(own)) =
        (&before.plan.service, &now.plan.service)
    else {
        return false;
    };
    let same_tls = match (before.tls(), now.tls()) {
        (Some(former), Some(own)) => Arc::ptr_eq(former, own),
        (former, own) => former.is_none() && own.is_none(),
    };
    let alike = former.client == own.client && former.send_proxy == own.send_proxy;
    alike && same_tls && Arc::ptr_eq(&before.telemetry, &now.telemetry)
}

fn http(entry: &Entry, plan: &HttpPlan, on: &Place<'_>, known: Clients) -> HttpStack {
    let counters = entry.telemetry.worker(on.index);
    // An entry of HTTP has it; a fresh one differs in nothing but what it has counted.
    let shared = entry.shared.clone();
    let shared = shared.unwrap_or_else(|| Arc::new(Shared::new(plan, None)));
    let tls = entry.tls();
    let endpoints = &entry.endpoints;
    let upstream = upstream(plan, on.mirrors, endpoints, &shared, counters, tls, known);
    let seam = upstream.seam.clone();
    // What becomes of copies is no news to who asked for news of failures.
    let log = match entry.plan.is_mirror() && !on.log.wants(false) {
        true => &on.log.with(Which::Off),
        false => on.log,
    };
    let downstream = downstream(&entry.plan.name, plan, counters, log, seam);
    HttpStack {
        downstream: Reused::new(downstream),
        upstream,
        server: plan.server.clone(),
        acceptor: entry.acceptor().cloned(),
    }
}

fn tcp(entry: &Entry, plan: &TcpPlan, on: &Place<'_>) -> TcpStack {
    TcpStack::new(
        &entry.plan.name,
        plan,
        &entry.endpoints,
        entry.telemetry.worker(on.index),
        on.log,
        entry.tls(),
    )
}

/// The stack as it is at the time of each request, so that a kept-alive connection follows a reload.
#[derive(Clone)]
struct Current(Arc<ArcSwap<HttpStack>>);

impl Service<Request<Body>> for Current {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <Downstream as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.load().downstream.send(request)
    }
}
