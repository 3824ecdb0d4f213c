//! From the server of a gateway to the entry that a request is for: the match table, and what routes change.
//!
//! A request that no route fits, or that must not be routed, goes down the listener's own stack, which tells
//! the client why and records it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Service, ServiceBuilder};

use super::directed::{is_misdirected, misdirected};
use super::front::{Routed, Routes};
use super::{Reused, Seam};
use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::http::{
    Explain, ExplainLayer, ForwardLayer, HygieneLayer, Record, RecordLayer, Respond, RespondLayer,
    UpgradeLayer,
};
use crate::net::Secured;
use crate::plan::{HttpPlan, LeadsTo, RoutePlan, RouteTable, RoutesPlan};
use crate::route::{ByHost, Head, Refused, canonical, normalise};
use crate::telemetry::{AccessLog, EntryCounters, Exchange};
use crate::tls::Acceptor;
use crate::transform::compress::CompressLayer;
use crate::transform::cors::CorsLayer;
use crate::transform::fixed::Fixed;
use crate::transform::headers::{HeadersLayer, Params as HeadersParams};
use crate::transform::hsts::HstsLayer;
use crate::transform::pages::PagesLayer;
use crate::transform::redirect::Redirect;
use crate::transform::rewrite::RewriteLayer;

/// Sends requests to the routes of one listener on one worker.
pub struct Router<C> {
    table: RouteTable,
    acceptor: Option<Arc<Acceptor>>,
    elsewhere: ByHost<Arc<str>>,
    ways: Vec<Way<C>>,
    /// What answers where no route does.
    own: Changing,
}

/// Where the requests of one route go.
struct Way<C> {
    name: Arc<str>,
    counters: Arc<EntryCounters>,
    stack: Stack<C>,
}

enum Stack<C> {
    /// That of the entry which the route leads to: nothing is changed.
    Shared(C),
    Changing(Arc<Changing>),
}

/// A stack that changes requests and responses.
type Changing = Reused<Record<Explain<Respond<Seam>>>>;

/// The listener whose routes they are.
pub struct Listener<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// Its plan.
    pub plan: &'a HttpPlan,
    /// What it counts on this worker.
    pub counters: &'a Arc<EntryCounters>,
    /// Where requests are logged.
    pub log: &'a AccessLog,
    /// What speaks TLS to its clients.
    pub acceptor: Option<&'a Arc<Acceptor>>,
}

/// An entry that a route leads to, on this worker.
pub struct Destination<C> {
    /// Its name.
    pub name: Arc<str>,
    /// What it counts.
    pub counters: Arc<EntryCounters>,
    /// Its whole stack.
    pub whole: C,
    /// What sends requests to its endpoints.
    pub upstream: Seam,
}

/// What becomes of a request that no route may have.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    NoRoute,
    BadPath(Refused),
    Misdirected,
    PassedThrough,
}

impl<C> Router<C> {
    /// Composes the stacks of a listener's routes. `find` finds the entries that they lead to.
    pub fn new(
        listener: &Listener<'_>,
        routes: &RoutesPlan,
        find: impl Fn(&str) -> Option<Destination<C>>,
    ) -> Self {
        let all = Changes::of(routes);
        // Routes that change nothing themselves share the stack of where they lead to.
        let mut shared: HashMap<&str, Arc<Changing>> = HashMap::new();
        let ways = routes.routes.iter().map(|route| {
            let plain = route.plain().and_then(|entry| shared.get(entry));
            let (name, counters, to) = match &route.to {
                LeadsTo::Entry(entry) => match find(entry) {
                    Some(found) if route.plain().is_some() && !routes.changes_all() => {
                        return Way {
                            name: Arc::clone(&route.name),
                            counters: found.counters,
                            stack: Stack::Shared(found.whole),
                        };
                    }
                    Some(found) => (found.name, found.counters, found.upstream),
                    None => own(listener, Seam::new(Unrouted)),
                },
                LeadsTo::Redirect(params) => match Redirect::new(params.clone()) {
                    Ok(redirect) => own(listener, Seam::new(redirect)),
                    Err(_) => own(listener, Seam::new(Unrouted)),
                },
                LeadsTo::Fixed(params) => match Fixed::new(params.clone()) {
                    Ok(fixed) => own(listener, Seam::new(fixed)),
                    Err(_) => own(listener, Seam::new(Unrouted)),
                },
            };
            let stack = plain.cloned().unwrap_or_else(|| {
                let stack = changing(listener, &all, Some(route), (name, &counters), to);
                Arc::new(stack)
            });
            if let Some(entry) = route.plain() {
                shared.insert(entry, Arc::clone(&stack));
            }
            Way {
                stack: Stack::Changing(stack),
                name: Arc::clone(&route.name),
                counters,
            }
        });
        let (name, counters, unrouted) = own(listener, Seam::new(Unrouted));
        Self {
            ways: ways.collect(),
            own: changing(listener, &all, None, (name, &counters), unrouted),
            table: routes.table.clone(),
            acceptor: listener.acceptor.cloned(),
            elsewhere: routes.elsewhere.clone(),
        }
    }

    /// The way of a request, whose path is made normal.
    fn way(&self, request: &mut Request<Body>) -> Result<&Way<C>, Refusal> {
        normalise(request.uri_mut()).map_err(Refusal::BadPath)?;
        let acceptor = self.acceptor.as_deref();
        if acceptor.is_some_and(|acceptor| is_misdirected(acceptor, request)) {
            return Err(Refusal::Misdirected);
        }
        let head = Head::of(request);
        if !self.elsewhere.is_empty() && request.extensions().get::<Arc<Secured>>().is_some() {
            let host = canonical(head.authority);
            if self.elsewhere.find(&host).is_some() {
                return Err(Refusal::PassedThrough);
            }
        }
        let found = self.table.table().find(&head);
        let route = found.and_then(|found| self.table.route(found));
        route
            .and_then(|route| self.ways.get(route))
            .ok_or(Refusal::NoRoute)
    }
}

/// A destination of the listener's own.
fn own(listener: &Listener<'_>, to: Seam) -> (Arc<str>, Arc<EntryCounters>, Seam) {
    (Arc::clone(listener.name), Arc::clone(listener.counters), to)
}

impl<C> Routes for Router<C>
where
    C: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync,
    C::Future: Send + 'static,
{
    fn send(&self, mut request: Request<Body>) -> Routed {
        let way = match self.way(&mut request) {
            Ok(way) => way,
            Err(refusal) => {
                request.extensions_mut().insert(refusal);
                return Box::pin(self.own.send(request));
            }
        };
        if let Some(exchange) = request.extensions().get::<Exchange>() {
            exchange.count_by(&way.counters);
            exchange.story(|story| story.route = Some(Arc::clone(&way.name)));
        }
        match &way.stack {
            Stack::Shared(whole) => Box::pin(whole.clone().call(request)),
            Stack::Changing(changing) => Box::pin(changing.send(request)),
        }
    }
}

/// What is changed of the responses of all routes, which share it.
struct Changes {
    hsts: Option<HstsLayer>,
    compress: Option<CompressLayer>,
    pages: Option<PagesLayer>,
}

impl Changes {
    fn of(routes: &RoutesPlan) -> Self {
        // The settings were tried when the configuration was read.
        let hsts = routes.hsts.as_ref();
        let compress = routes.compress.clone();
        let pages = &routes.pages;
        Self {
            hsts: hsts.and_then(|params| HstsLayer::new(params).ok()),
            compress: compress.and_then(|params| CompressLayer::new(params).ok()),
            pages: (!pages.pages.is_empty()).then(|| PagesLayer::new(pages.clone())),
        }
    }
}

/// Composes a stack that ends at `to`, with the changes of a route and of the whole listener.
///
/// What changes requests stands below the hygiene, so that a client cannot have it taken away as a field of the
/// hop; what changes responses stands above everything that makes one.
fn changing(
    listener: &Listener<'_>,
    all: &Changes,
    route: Option<&RoutePlan>,
    (name, counters): (Arc<str>, &Arc<EntryCounters>),
    to: Seam,
) -> Changing {
    // The settings were tried when the configuration was read.
    let rewrite = route.and_then(|route| RewriteLayer::new(route.rewrite.clone()?).ok());
    let cors = route.and_then(|route| CorsLayer::new(route.cors.as_ref()?).ok());
    let headers = |half: fn(&HeadersParams) -> HeadersParams| {
        let half = half(&route?.headers);
        (half != HeadersParams::default())
            .then(|| HeadersLayer::new(half).ok())
            .flatten()
    };
    let of_requests = headers(|params| HeadersParams {
        request: params.request.clone(),
        ..HeadersParams::default()
    });
    let of_responses = headers(|params| HeadersParams {
        response: params.response.clone(),
        ..HeadersParams::default()
    });
    let plan = listener.plan;
    let inner = ServiceBuilder::new()
        .layer(RespondLayer::new(plan.explain))
        .layer(HygieneLayer)
        .layer(ForwardLayer::new(plan.forward.clone()).with_client_cert(plan.client_cert))
        // What is said of the caller tells what it asked for, not what becomes of it.
        .option_layer(rewrite)
        .option_layer(of_requests)
        .layer(UpgradeLayer::new(plan.tunnel_idle))
        .service(to);
    let changed = ServiceBuilder::new()
        .option_layer(cors)
        .option_layer(all.hsts.clone())
        .option_layer(of_responses)
        // Below what says more of a response: its body is another one then.
        .option_layer(all.compress.clone())
        .option_layer(all.pages.clone())
        .map_err(|never: Infallible| -> Fault { match never {} })
        .service(inner);
    Reused::new(
        ServiceBuilder::new()
            .layer(RecordLayer::new(
                Arc::clone(&name),
                Arc::clone(counters),
                listener.log.clone(),
            ))
            .layer(ExplainLayer::new(name, plan.explain))
            .layer(RespondLayer::new(plan.explain))
            .service(Seam::new(changed)),
    )
}

/// Answers what no route may have.
#[derive(Debug, Clone, Copy)]
struct Unrouted;

impl Service<Request<Body>> for Unrouted {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Ready<Result<Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let refusal = request.extensions().get::<Refusal>().copied();
        ready(Err(match refusal.unwrap_or(Refusal::NoRoute) {
            Refusal::NoRoute => Fault::unseen(Reason::NoRoute, "no route fits the request"),
            Refusal::BadPath(why) => Fault::unseen(Reason::RequestError, why.to_string()),
            Refusal::Misdirected => misdirected(),
            Refusal::PassedThrough => Fault::unseen(
                Reason::Misdirected,
                "TLS for this host is passed through: it wants a connection of its own",
            ),
        }))
    }
}
