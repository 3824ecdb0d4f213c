//! From the seam to the endpoint: deadlines, retries, and the choice of an endpoint for each try.

use std::sync::Arc;

use http::{HeaderName, Request, Response};
use tower::{Service, ServiceBuilder};

use super::paths::Paths;
use super::{Budgets, Reused, Seam, Shared};
use crate::balance::{Balance, Endpoint, EndpointSet};
use crate::body::Body;
use crate::fault::Fault;
use crate::http::Client;
use crate::plan::{HttpPlan, RequestPlan};
use crate::resilience::hedge::HedgeLayer;
use crate::resilience::inject::InjectLayer;
use crate::resilience::limit::LimitLayer;
use crate::resilience::mirror::MirrorLayer;
use crate::resilience::retry::RetryLayer;
use crate::resilience::timeout::{AllowanceLayer, Bound, TimeoutLayer};
use crate::telemetry::EntryCounters;
use crate::tls::{Connector, Reach};

/// The stack, and the handle that keeps its connections tidy.
#[derive(Clone)]
pub struct Upstream {
    /// Sends a request.
    pub seam: Seam,
    clients: Arc<dyn Fn() -> Clients + Send + Sync>,
}

/// Endpoints, with the connections that a worker has to them.
pub type Clients = Vec<(Arc<Endpoint>, Client)>;

impl Upstream {
    /// Drops connections to removed endpoints, and those that are idle or open for too long.
    pub fn sweep(&self) {
        let clients = self.clients();
        clients.iter().for_each(|(_, client)| client.sweep());
    }

    /// The connections to the endpoints that there are now.
    pub fn clients(&self) -> Clients {
        (self.clients)()
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

/// Finds where the copies for the entry of this name go.
pub type Mirrors<'a> = &'a dyn Fn(&str) -> Option<Seam>;

/// Composes the upstream stack of one entry on one worker. `known` are clients that are just as those
/// that it would make; those of endpoints that are still there go on.
pub fn upstream(
    plan: &HttpPlan,
    mirrors: Mirrors<'_>,
    endpoints: &Arc<EndpointSet>,
    shared: &Shared,
    counters: &Arc<EntryCounters>,
    tls: Option<&Arc<Connector>>,
    known: Clients,
) -> Upstream {
    let balance = balance(plan, endpoints, counters, tls).knowing(known);
    let all = balance.clone();
    Upstream {
        seam: policies(plan, mirrors, shared, balance),
        clients: Arc::new(move || all.services()),
    }
}

/// Composes everything that stands above the balancer: one stack for the entry's own policy and one
/// for each of its paths, over the same endpoints. Whatever sends must lay down the heads of
/// requests, as [`RetryLayer::lending`] says.
pub fn policies<S>(plan: &HttpPlan, mirrors: Mirrors<'_>, shared: &Shared, balance: S) -> Seam
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let field = &plan.deadline_field;
    let all = plan.policies().zip(&shared.budgets);
    let stacks = all.map(|((path, policy), budgets)| {
        let mirror = mirror(policy, mirrors, shared);
        let seam = stack(policy, mirror, field.as_ref(), budgets, balance.clone());
        (path.to_owned(), seam)
    });
    let mut stacks: Vec<(String, Seam)> = stacks.collect();
    let (_, own) = stacks.swap_remove(0);
    match (&shared.limit, stacks.is_empty()) {
        (None, true) => own,
        (limit, _) => Seam::new(
            ServiceBuilder::new()
                // Above everything that may send: what is too much is turned away at once.
                .option_layer(limit.clone().map(LimitLayer::new))
                // The policies of the request's path.
                .service(Paths::new(stacks, own)),
        ),
    }
}

/// Composes the stack of one policy.
fn stack<S>(
    policy: &RequestPlan,
    mirror: Option<MirrorLayer<Seam>>,
    field: Option<&HeaderName>,
    budgets: &Budgets,
    balance: S,
) -> Seam
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let retry = policy
        .retry
        .as_ref()
        .map(|retry| RetryLayer::lending(retry.params.clone(), Arc::clone(&budgets.retry)));
    let hedge = policy
        .hedge
        .as_ref()
        .map(|hedge| HedgeLayer::new(hedge.params.clone(), Arc::clone(&budgets.hedge)));
    let service = ServiceBuilder::new()
        // Outermost: a request is copied once, as it came. What is repeated, delayed on purpose or told
        // of deadlines below is the request alone.
        .option_layer(mirror)
        // Above what repeats: all tries and the pauses between them share one deadline.
        .layer(TimeoutLayer::heeding(
            policy.request_timeout,
            field.cloned(),
        ))
        // Below the deadline, which a delay made on purpose runs into like any other.
        .option_layer(policy.inject.clone().map(InjectLayer::new))
        // Above the balancer, so that each try picks anew.
        .option_layer(retry)
        // What repeats takes a clone of what is below for each request: a cheap one.
        .layer_fn(Reused::new)
        // Below the retries: both tries of a race are one to them.
        .option_layer(hedge)
        // Below everything that repeats: each try is told what is left.
        .layer(AllowanceLayer::new(field.cloned()))
        // Innermost: ends a single try, which the retry above may repeat.
        .option_layer(
            policy
                .try_timeout
                .map(|limit| TimeoutLayer::new(limit, Bound::Try)),
        )
        // Picks an endpoint, and sends over the connections that this worker has to it.
        .service(balance);
    Seam::new(service)
}

/// Where the copies of a policy's requests go.
fn mirror(
    policy: &RequestPlan,
    mirrors: Mirrors<'_>,
    shared: &Shared,
) -> Option<MirrorLayer<Seam>> {
    let plan = policy.mirror.as_ref()?;
    let (seam, backlog) = (mirrors(&plan.entry)?, Arc::clone(&shared.backlog));
    Some(MirrorLayer::new(plan.params, seam, backlog))
}

fn balance(
    plan: &HttpPlan,
    endpoints: &Arc<EndpointSet>,
    counters: &Arc<EntryCounters>,
    tls: Option<&Arc<Connector>>,
) -> Balance<impl Fn(&Arc<Endpoint>) -> Client + Send + Sync + 'static, Client> {
    let (params, counters) = (plan.client.clone(), Arc::clone(counters));
    let (policy, tls, send_proxy) = (plan.balance.clone(), tls.cloned(), plan.send_proxy);
    Balance::new(
        Arc::clone(endpoints),
        policy,
        move |endpoint: &Arc<Endpoint>| {
            let authority = endpoint.authority();
            let reach = Reach::new(endpoint.address(), authority.host(), tls.as_ref())
                .introducing(send_proxy);
            Client::new(
                reach,
                authority,
                endpoint.host(),
                params.clone(),
                Arc::clone(&counters),
            )
        },
    )
}
