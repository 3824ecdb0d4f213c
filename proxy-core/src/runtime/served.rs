//! One entry on one worker: its stack, composed anew at a reload, and its connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::{Request, Response};
use tokio::net::TcpStream;
use tower::{Service, ServiceBuilder};

use super::entry::Entry;
#[cfg(feature = "gateway")]
use super::passthrough::Passthrough;
use crate::body::Body;
use crate::fault::Fault;
#[cfg(feature = "acme")]
use crate::http::ChallengeAnswer;
use crate::http::{ServerParams, serve, serve_tls};
use crate::lifecycle::Phase;
use crate::net::proxy_protocol::{Ends, receive};
use crate::net::{Connection, Connections};
use crate::plan::{EntryPlan, HttpPlan, ServicePlan, TcpPlan};
#[cfg(feature = "acme")]
use crate::stack::Challenged;
use crate::stack::{
    Clients, Directed, Front, FrontFuture, Reused, Routes, Seam, Shared, TcpStack, Upstream,
    downstream, upstream,
};
#[cfg(feature = "gateway")]
use crate::stack::{Destination, Listener, Router};
use crate::telemetry::{AccessLog, Which};
use crate::tls::Acceptor as TlsAcceptor;

/// What a connection of an entry is served with; replaced as a whole at a reload.
enum Stack {
    Http(Arc<ArcSwap<HttpStack>>),
    Tcp(ArcSwap<TcpStack>),
}

struct HttpStack {
    front: Front,
    upstream: Upstream,
    server: ServerParams,
    acceptor: Option<Arc<TlsAcceptor>>,
    #[cfg(feature = "gateway")]
    passthrough: Option<Arc<Passthrough>>,
}

/// One entry on this worker.
pub(super) struct Served {
    pub(super) entry: ArcSwap<Entry>,
    stack: Stack,
    pub(super) connections: Arc<Connections>,
}

/// What a stack is composed with besides its entry.
pub(super) struct Place<'a> {
    /// The number of the worker.
    pub(super) index: usize,
    pub(super) log: &'a AccessLog,
    /// The entries that there are: some lead to others.
    pub(super) served: &'a HashMap<Arc<str>, Arc<Served>>,
}

impl Served {
    pub(super) fn new(entry: &Arc<Entry>, on: &Place<'_>, phase: Phase) -> Self {
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
    pub(super) fn update(&self, entry: &Arc<Entry>, on: &Place<'_>) -> bool {
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
        let before = self.entry.swap(Arc::clone(entry));
        if is_met_otherwise(&before.plan, &entry.plan) {
            // What was let in by other rules does not stay for ever.
            self.connections.close_open();
        }
        true
    }

    /// Drops connections to endpoints that are gone, and those that are idle or open for too long.
    pub(super) fn sweep(&self) {
        if let Stack::Http(stack) = &self.stack {
            stack.load().upstream.sweep();
        }
    }

    /// What copies bytes, if that is what it does.
    #[cfg(feature = "gateway")]
    pub(super) fn tcp(&self) -> Option<Arc<TcpStack>> {
        match &self.stack {
            Stack::Tcp(stack) => Some(stack.load_full()),
            Stack::Http(_) => None,
        }
    }

    /// What sends requests to it that came on no connection. It follows reloads: whoever holds it need not be
    /// composed anew.
    pub(super) fn seam(&self) -> Option<Seam> {
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
        let entry = self.entry.load();
        // What a gateway leads to may be told.
        let tells = entry.plan.send_proxy().is_some() || entry.plan.targets.is_empty();
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
                    #[cfg(feature = "gateway")]
                    if let Some(passthrough) = stack.passthrough.clone() {
                        drop(stack);
                        let served =
                            passthrough.serve(stream, connection, service, acceptor, &server);
                        return Box::pin(served).await;
                    }
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

/// Whether clients are met by other rules than before: those of certificates, or of who says who calls.
fn is_met_otherwise(before: &EntryPlan, now: &EntryPlan) -> bool {
    let rules = |plan: &EntryPlan| {
        let accept = plan.accept.as_ref();
        accept.map(|accept| (accept.clients.clone(), accept.hosts.clone()))
    };
    before.proxied != now.proxied || rules(before) != rules(now)
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
    let mirrors = |name: &str| on.served.get(name)?.seam();
    let upstream = upstream(plan, &mirrors, endpoints, &shared, counters, tls, known);
    let seam = match entry.acceptor() {
        Some(acceptor) if !acceptor.params().hosts.is_empty() => {
            Seam::new(Directed::new(Arc::clone(acceptor), upstream.seam.clone()))
        }
        _ => upstream.seam.clone(),
    };
    // What becomes of copies is no news to who asked for news of failures.
    let log = match entry.plan.is_mirror && !on.log.wants(false) {
        true => &on.log.with(Which::Off),
        false => on.log,
    };
    let front = match routes(entry, plan, on) {
        Some(routes) => Front::Routes(routes),
        None => {
            let downstream = downstream(&entry.plan.name, plan, counters, log, seam);
            Front::Plain(Reused::new(downstream))
        }
    };
    #[cfg(feature = "acme")]
    let front = challenged(entry, plan, on, front);
    HttpStack {
        front,
        upstream,
        server: plan.server.clone(),
        acceptor: entry.acceptor().cloned(),
        #[cfg(feature = "gateway")]
        passthrough: Passthrough::of(&entry.plan, on),
    }
}

/// Challenges that authorities may send, before everything else.
#[cfg(feature = "acme")]
fn challenged(entry: &Entry, plan: &HttpPlan, on: &Place<'_>, beyond: Front) -> Front {
    if plan.challenges.is_empty() {
        return beyond;
    }
    let counters = entry.telemetry.worker(on.index);
    let answer = Seam::new(ChallengeAnswer);
    let own = downstream(&entry.plan.name, plan, counters, on.log, answer);
    Front::Routes(Arc::new(Challenged::new(&plan.challenges, own, beyond)))
}

/// The routes of a gateway's listener.
#[cfg(feature = "gateway")]
fn routes(entry: &Entry, plan: &HttpPlan, on: &Place<'_>) -> Option<Arc<dyn Routes>> {
    let listener = Listener {
        name: &entry.plan.name,
        plan,
        counters: entry.telemetry.worker(on.index),
        log: on.log,
        acceptor: entry.acceptor(),
    };
    let find = |name: &str| {
        let served = on.served.get(name)?;
        let Stack::Http(stack) = &served.stack else {
            return None;
        };
        let entry = served.entry.load();
        let whole = Current(Arc::clone(stack));
        Some(Destination {
            name: Arc::clone(&entry.plan.name),
            counters: Arc::clone(entry.telemetry.worker(on.index)),
            upstream: Seam::new(Onwards(whole.clone())),
            whole,
        })
    };
    Some(Arc::new(Router::new(
        &listener,
        plan.routes.as_deref()?,
        find,
    )))
}

#[cfg(not(feature = "gateway"))]
fn routes(_: &Entry, _: &HttpPlan, _: &Place<'_>) -> Option<Arc<dyn Routes>> {
    None
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
pub(super) struct Current(Arc<ArcSwap<HttpStack>>);

impl Service<Request<Body>> for Current {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = FrontFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.load().front.send(request)
    }
}

/// What sends requests to the endpoints of an entry as it is at the time of each request.
#[cfg(feature = "gateway")]
#[derive(Clone)]
struct Onwards(Current);

#[cfg(feature = "gateway")]
impl Service<Request<Body>> for Onwards {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = <Seam as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.0.load().upstream.seam.clone().call(request)
    }
}
