//! What all workers share of one entry: its endpoints and who feeds them, its retry budget, its counters.

use std::sync::Arc;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::admin::EntryView;
use crate::balance::{Endpoint, EndpointSet, Probe, Target as EndpointTarget, check};
use crate::discovery::{self, Found, Question, Resolution, Resolver, watch_dns, watch_file};
use crate::http::probe;
use crate::plan::{EntryPlan, HealthPlan, ServicePlan, Source, Target};
use crate::resilience::retry::Budget;
use crate::telemetry::EntryTelemetry;
use crate::tls::{self, Connector, Reach, Unusable};

/// One entry as it runs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) plan: EntryPlan,
    pub(super) endpoints: Arc<EndpointSet>,
    pub(super) budget: Arc<Budget>,
    pub(super) telemetry: Arc<EntryTelemetry>,
    tls: Option<Arc<Secured>>,
    feeder: Arc<Feeder>,
    _checker: Option<Checker>,
}

/// TLS with files that are followed until dropped.
#[derive(Debug)]
struct Secured {
    connector: Arc<Connector>,
    follower: AbortHandle,
}

impl Secured {
    fn start(params: tls::Params, entry: &Arc<str>) -> Result<Self, Unusable> {
        let connector = Arc::new(Connector::new(params)?);
        let (followed, entry) = (Arc::clone(&connector), Arc::clone(entry));
        let follower = tokio::spawn(async move { followed.follow(&entry).await }).abort_handle();
        Ok(Self {
            connector,
            follower,
        })
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Checks the endpoints until dropped.
#[derive(Debug)]
struct Checker(AbortHandle);

impl Drop for Checker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks endpoints over the network.
struct Asking {
    plan: HealthPlan,
    tls: Option<Arc<Connector>>,
}

impl Probe for Asking {
    async fn probe(&self, endpoint: &Endpoint) -> Result<(), String> {
        let (plan, authority) = (&self.plan, endpoint.authority());
        let reach = Reach::new(endpoint.address(), authority.host(), self.tls.as_ref());
        probe(&plan.question, &reach, authority, plan.timeout).await
    }
}

/// Feeds discovery's answers to the endpoint set until dropped.
#[derive(Debug)]
struct Feeder {
    task: AbortHandle,
    resolutions: Vec<watch::Receiver<Resolution>>,
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Entry {
    /// Starts an entry. What `before` already knows (endpoints, health, budget, counters) is kept as far as the plans agree.
    pub(super) fn start(
        plan: EntryPlan,
        before: Option<&Self>,
        resolver: &Resolver,
        same_resolver: bool,
        workers: usize,
    ) -> Result<Self, Unusable> {
        let tls = match (&plan.tls, before.and_then(|before| before.tls.as_ref())) {
            (None, _) => None,
            (Some(params), Some(before)) if params == before.connector.params() => {
                Some(Arc::clone(before))
            }
            (Some(params), _) => Some(Arc::new(Secured::start(params.clone(), &plan.name)?)),
        };
        let telemetry = before.map(|b| Arc::clone(&b.telemetry));
        let telemetry = telemetry
            .unwrap_or_else(|| Arc::new(EntryTelemetry::new(Arc::clone(&plan.name), workers)));
        let same = before.filter(|b| b.plan.targets == plan.targets);
        let (endpoints, feeder) = match same {
            Some(before) if same_resolver && before.plan.eject == plan.eject => {
                (Arc::clone(&before.endpoints), Arc::clone(&before.feeder))
            }
            _ => {
                let endpoints = Arc::new(match same {
                    Some(before) => EndpointSet::after(&before.endpoints, plan.eject.clone()),
                    None => EndpointSet::new(plan.eject.clone()),
                });
                let feeder =
                    Feeder::start(&plan.targets, &endpoints, resolver, before, same_resolver);
                (endpoints, Arc::new(feeder))
            }
        };
        let settings = retry_settings(&plan);
        let budget = match before {
            Some(before) if retry_settings(&before.plan) == settings => Arc::clone(&before.budget),
            _ => Arc::new(Budget::new(settings.0, settings.1)),
        };
        let checker = plan.health.clone().map(|health| {
            let checks = check(
                Arc::clone(&endpoints),
                health.params.clone(),
                Asking {
                    plan: health,
                    tls: tls.as_ref().map(|tls| Arc::clone(&tls.connector)),
                },
            );
            Checker(tokio::spawn(checks).abort_handle())
        });
        Ok(Self {
            plan,
            endpoints,
            budget,
            telemetry,
            tls,
            feeder,
            _checker: checker,
        })
    }

    /// What makes TLS connections to its endpoints.
    pub(super) fn tls(&self) -> Option<&Arc<Connector>> {
        self.tls.as_ref().map(|tls| &tls.connector)
    }

    /// What the admin interface sees.
    pub(super) fn view(&self) -> EntryView {
        EntryView {
            telemetry: Arc::clone(&self.telemetry),
            endpoints: Arc::clone(&self.endpoints),
            resolutions: self.feeder.resolutions.clone(),
            budget: repeats(&self.plan).then(|| Arc::clone(&self.budget)),
            is_tcp: matches!(self.plan.service, ServicePlan::Tcp(_)),
            is_checked: self.plan.health.is_some(),
            listens: self.plan.listen.clone(),
            leads_to: self.plan.targets.iter().map(called).collect(),
        }
    }
}

/// Whether requests may be sent again.
fn repeats(plan: &EntryPlan) -> bool {
    matches!(&plan.service, ServicePlan::Http(http) if http.retry.is_some())
}

/// What a target is called, with how its addresses are found where it does not say.
fn called(target: &Target) -> String {
    let name = &target.authority;
    match &target.source {
        Source::Fixed(_) => name.to_string(),
        Source::Dns(_) => format!("{name} (DNS)"),
        Source::Srv(_) => format!("{name} (SRV)"),
        Source::File(path) => format!("{name} ({})", path.display()),
    }
}

fn retry_settings(plan: &EntryPlan) -> (f64, u32) {
    match &plan.service {
        ServicePlan::Http(http) => http
            .retry
            .as_ref()
            .map_or((0.0, 0), |retry| (retry.budget, retry.floor)),
        ServicePlan::Tcp(_) => (0.0, 0),
    }
}

impl Feeder {
    /// Follows `targets`. A name that `known` follows already goes on being followed: its answers are good at once.
    fn start(
        targets: &[Target],
        endpoints: &Arc<EndpointSet>,
        resolver: &Resolver,
        known: Option<&Entry>,
        same_resolver: bool,
    ) -> Self {
        let followed = |target: &Target| {
            let known = known?;
            let mut targets = known.plan.targets.iter();
            let position =
                targets.position(|t| t.source == target.source && t.port == target.port)?;
            known.feeder.resolutions.get(position).cloned()
        };
        let start = |target: &Target| match followed(target) {
            Some(resolution) if same_resolver => resolution,
            // Asked of other servers from now on: what the former ones said holds until these answer.
            Some(resolution) => follow(target, resolver, resolution.borrow().found.clone()),
            None => follow(target, resolver, Arc::default()),
        };
        let resolutions: Vec<_> = targets.iter().map(start).collect();
        feed(targets, &resolutions, endpoints);
        let task = tokio::spawn(keep_feeding(
            targets.to_vec(),
            resolutions.clone(),
            Arc::clone(endpoints),
        ));
        Self {
            task: task.abort_handle(),
            resolutions,
        }
    }
}

fn follow(
    target: &Target,
    resolver: &Resolver,
    known: Arc<[Found]>,
) -> watch::Receiver<Resolution> {
    let dns = |name: &String, question| {
        let params = discovery::Params::default();
        watch_dns(
            resolver.clone(),
            name.clone(),
            question,
            known.clone(),
            params,
        )
    };
    match &target.source {
        Source::Fixed(ip) => discovery::fixed([std::net::SocketAddr::new(*ip, target.port)]),
        Source::Dns(name) => dns(name, Question::Addresses(target.port)),
        Source::Srv(name) => dns(name, Question::Services),
        Source::File(path) => watch_file(path.clone(), known.clone()),
    }
}

async fn keep_feeding(
    targets: Vec<Target>,
    mut resolutions: Vec<watch::Receiver<Resolution>>,
    endpoints: Arc<EndpointSet>,
) {
    loop {
        let changes = resolutions
            .iter_mut()
            .map(|resolution| Box::pin(changed(resolution)));
        select_all(changes).await;
        feed(&targets, &resolutions, &endpoints);
    }
}

/// The next change; never, where there will be none.
async fn changed(resolution: &mut watch::Receiver<Resolution>) {
    if resolution.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn feed(targets: &[Target], resolutions: &[watch::Receiver<Resolution>], endpoints: &EndpointSet) {
    let mut all = Vec::new();
    let mut failure = None;
    let mut settled = true;
    for (target, resolution) in targets.iter().zip(resolutions) {
        let resolution = resolution.borrow();
        settled &= resolution.is_settled();
        failure = failure.or_else(|| resolution.failure.clone());
        all.extend(resolution.found.iter().map(|found| EndpointTarget {
            address: found.address,
            authority: target.authority.clone(),
            weight: target.weight.saturating_mul(found.weight),
            tier: found.tier,
        }));
    }
    // Before every name has answered once, what there is already serves; nothing is no answer yet.
    if settled || !all.is_empty() {
        endpoints.update(all, failure);
    }
}
