//! From the seam to the endpoint: deadlines, retries, and the choice of an endpoint for each try.

use std::sync::Arc;

use tower::ServiceBuilder;

use super::Seam;
use crate::balance::{Balance, Endpoint, EndpointSet};
use crate::http::Client;
use crate::plan::HttpPlan;
use crate::resilience::retry::{Budget, RetryLayer};
use crate::resilience::timeout::{Bound, TimeoutLayer};
use crate::telemetry::EntryCounters;
use crate::tls::{Connector, Reach};

/// The stack, and the handle that keeps its connections tidy.
#[derive(Clone)]
pub struct Upstream {
    /// Sends a request.
    pub seam: Seam,
    sweep: Arc<dyn Fn() + Send + Sync>,
}

impl Upstream {
    /// Drops connections to removed endpoints, and those that are idle or open for too long.
    pub fn sweep(&self) {
        (self.sweep)();
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

/// Composes the upstream stack of one entry on one worker. The endpoints and the budget are shared by all workers.
pub fn upstream(
    plan: &HttpPlan,
    endpoints: &Arc<EndpointSet>,
    budget: &Arc<Budget>,
    counters: &Arc<EntryCounters>,
    tls: Option<&Arc<Connector>>,
) -> Upstream {
    let balance = balance(plan, endpoints, counters, tls);
    let tidy = balance.clone();
    let retry = plan
        .retry
        .as_ref()
        .map(|retry| RetryLayer::lending(retry.params.clone(), Arc::clone(budget)));
    let service = ServiceBuilder::new()
        // Outermost: all tries and the pauses between them share one deadline.
        .option_layer(
            plan.request_timeout
                .map(|limit| TimeoutLayer::new(limit, Bound::Request)),
        )
        // Above the balancer, so that each try picks anew.
        .option_layer(retry)
        // Innermost: ends a single try, which the retry above may repeat.
        .option_layer(
            plan.try_timeout
                .map(|limit| TimeoutLayer::new(limit, Bound::Try)),
        )
        // Picks an endpoint, and sends over the connections that this worker has to it.
        .service(balance);
    Upstream {
        seam: Seam::new(service),
        sweep: Arc::new(move || tidy.services().iter().for_each(Client::sweep)),
    }
}

fn balance(
    plan: &HttpPlan,
    endpoints: &Arc<EndpointSet>,
    counters: &Arc<EntryCounters>,
    tls: Option<&Arc<Connector>>,
) -> Balance<impl Fn(&Arc<Endpoint>) -> Client + Send + Sync + 'static, Client> {
    let (params, counters) = (plan.client.clone(), Arc::clone(counters));
    let (policy, tls) = (plan.balance.clone(), tls.cloned());
    Balance::new(
        Arc::clone(endpoints),
        policy,
        move |endpoint: &Arc<Endpoint>| {
            let authority = endpoint.authority();
            let reach = Reach::new(endpoint.address(), authority.host(), tls.as_ref());
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
