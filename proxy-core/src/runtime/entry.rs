//! What all workers share of one entry: its endpoints and who feeds them, its retry budget, its counters.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Error;
#[cfg(feature = "acme")]
use crate::acme;
use crate::address::Address;
use crate::admin::EntryView;
use crate::balance::{Endpoint, EndpointSet, Feed, Probe, check, feed, refresh};
use crate::discovery::{self, Found, Question, Resolution, Resolver, watch_dns, watch_file};
use crate::http::probe;
use crate::net::proxy_protocol::Version;
use crate::plan::{EntryPlan, HealthPlan, ServicePlan, Source, Target};
use crate::resilience::retry::Budget;
use crate::stack::Shared;
use crate::telemetry::EntryTelemetry;
use crate::tls::{self, Acceptor, Connector, Invalid, Reach, Unusable};

/// One entry as it runs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) plan: EntryPlan,
    pub(super) endpoints: Arc<EndpointSet>,
    /// What its HTTP stacks share; none for raw TCP.
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) telemetry: Arc<EntryTelemetry>,
    tls: Option<Arc<Secured>>,
    accepting: Option<Arc<Accepting>>,
    #[cfg(feature = "acme")]
    obtaining: Option<Arc<Obtaining>>,
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
    /// What the plan asks for, which `before` may have already.
    fn of(plan: &EntryPlan, before: Option<&Entry>) -> Result<Option<Arc<Self>>, Unusable> {
        let Some(params) = &plan.tls else {
            return Ok(None);
        };
        let known = before.and_then(|before| before.tls.as_ref());
        if let Some(known) = known.filter(|known| known.connector.params() == params) {
            return Ok(Some(Arc::clone(known)));
        }
        Self::start(params.clone(), &plan.name).map(|secured| Some(Arc::new(secured)))
    }

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

/// TLS towards callers, with files that are followed until dropped.
#[derive(Debug)]
struct Accepting {
    acceptor: Arc<Acceptor>,
    follower: AbortHandle,
}

impl Accepting {
    /// What the plan asks for, which `before` may have already.
    fn of(plan: &EntryPlan, before: Option<&Entry>) -> Result<Option<Arc<Self>>, Invalid> {
        let Some(params) = &plan.accept else {
            return Ok(None);
        };
        let known = before.and_then(|before| before.accepting.as_ref());
        if let Some(known) = known.filter(|known| known.acceptor.params() == params) {
            return Ok(Some(Arc::clone(known)));
        }
        let acceptor = Arc::new(Acceptor::new(params.clone())?);
        let (followed, entry) = (Arc::clone(&acceptor), Arc::clone(&plan.name));
        let follower = tokio::spawn(async move { followed.follow(&entry).await }).abort_handle();
        Ok(Some(Arc::new(Self { acceptor, follower })))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// A certificate that is obtained, and renewed, until dropped.
#[cfg(feature = "acme")]
#[derive(Debug)]
struct Obtaining {
    status: Arc<acme::Status>,
    keeper: AbortHandle,
}

#[cfg(feature = "acme")]
impl Obtaining {
    /// What the plan asks for, which `before` may be at already. What was counted stays counted.
    fn of(
        plan: &EntryPlan,
        before: Option<&Entry>,
        resolver: &Resolver,
        same_resolver: bool,
    ) -> Option<Arc<Self>> {
        let params = plan.acme.as_ref()?;
        let known = before.and_then(|before| before.obtaining.as_ref());
        if let Some(known) = known
            && same_resolver
            && before.is_some_and(|before| before.plan.acme.as_ref() == Some(params))
        {
            return Some(Arc::clone(known));
        }
        let status = known.map_or_else(Arc::default, |known| Arc::clone(&known.status));
        let kept = acme::keep(params.clone(), resolver.clone(), Arc::clone(&status));
        let keeper = tokio::spawn(kept).abort_handle();
        Some(Arc::new(Self { status, keeper }))
    }
}

#[cfg(feature = "acme")]
impl Drop for Obtaining {
    fn drop(&mut self) {
        self.keeper.abort();
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
    send_proxy: Option<Version>,
}

impl Probe for Asking {
    async fn probe(&self, endpoint: &Endpoint) -> Result<(), String> {
        let (plan, authority) = (&self.plan, endpoint.authority());
        let reach = Reach::new(endpoint.address(), authority.host(), self.tls.as_ref())
            .introducing(self.send_proxy);
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
    ) -> Result<Self, Error> {
        let tls = Secured::of(&plan, before)?;
        let accepting = Accepting::of(&plan, before)?;
        let telemetry = before.map(|b| Arc::clone(&b.telemetry));
        let telemetry = telemetry
            .unwrap_or_else(|| Arc::new(EntryTelemetry::new(Arc::clone(&plan.name), workers)));
        let same = before.filter(|b| b.plan.targets == plan.targets);
        let (endpoints, feeder) = match same {
            Some(before)
                if same_resolver
                    && before.plan.eject == plan.eject
                    && before.plan.subset == plan.subset =>
            {
                (Arc::clone(&before.endpoints), Arc::clone(&before.feeder))
            }
            _ => {
                let set = EndpointSet::new(plan.eject.clone())
                    .named(Arc::clone(&plan.name))
                    .at_most(plan.subset);
                let endpoints = Arc::new(match same {
                    Some(before) => set.after(&before.endpoints),
                    None => set,
                });
                let feeder =
                    Feeder::start(&plan.targets, &endpoints, resolver, before, same_resolver);
                (endpoints, Arc::new(feeder))
            }
        };
        let shared = shared(&plan, before);
        let checker = plan.health.clone().map(|health| {
            let checks = check(
                Arc::clone(&endpoints),
                health.params.clone(),
                Asking {
                    plan: health,
                    send_proxy: plan.send_proxy(),
                    tls: tls.as_ref().map(|tls| Arc::clone(&tls.connector)),
                },
            );
            Checker(tokio::spawn(checks).abort_handle())
        });
        Ok(Self {
            #[cfg(feature = "acme")]
            obtaining: Obtaining::of(&plan, before, resolver, same_resolver),
            plan,
            endpoints,
            shared,
            telemetry,
            tls,
            accepting,
            feeder,
            _checker: checker,
        })
    }

    /// The retries that its own policy may make; none where it repeats nothing.
    fn retry_budget(&self) -> Option<Arc<Budget>> {
        let ServicePlan::Http(http) = &self.plan.service else {
            return None;
        };
        let budgets = self.shared.as_ref()?.budgets.first()?;
        http.policy
            .retry
            .as_ref()
            .map(|_| Arc::clone(&budgets.retry))
    }

    /// What speaks TLS to its callers.
    pub(super) fn acceptor(&self) -> Option<&Arc<Acceptor>> {
        self.accepting.as_ref().map(|accepting| &accepting.acceptor)
    }

    /// How it goes with its certificate, where one is obtained.
    #[cfg(feature = "acme")]
    fn obtaining(&self) -> Option<Arc<acme::Status>> {
        let obtaining = self.obtaining.as_ref();
        obtaining.map(|obtaining| Arc::clone(&obtaining.status))
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
            limit: self.shared.as_ref().and_then(|shared| shared.limit.clone()),
            budget: self.retry_budget(),
            is_tcp: matches!(self.plan.service, ServicePlan::Tcp(_)),
            is_checked: self.plan.health.is_some(),
            gates: self.plan.health.as_ref().is_some_and(|health| health.gates),
            listens: self.plan.listen.clone(),
            is_introduced: self.plan.proxied.is_some(),
            acceptor: self.acceptor().cloned(),
            takes_tls: self.accepting.is_some() || !self.plan.passthrough.is_empty(),
            #[cfg(feature = "acme")]
            acme: self.obtaining(),
            leads_to: self.plan.targets.iter().map(called).collect(),
        }
    }
}

/// What a target is called, with how its addresses are found where it does not say.
fn called(target: &Target) -> String {
    let name = &target.authority;
    match &target.source {
        Source::Fixed(_) => name.to_string(),
        Source::Unix(path) => Address::Unix(Arc::clone(path)).to_string(),
        Source::Dns(_) => format!("{name} (DNS)"),
        Source::Srv(_) => format!("{name} (SRV)"),
        Source::File(path) => format!("{name} ({})", path.display()),
    }
}

/// What the HTTP stacks of an entry share; none for raw TCP.
fn shared(plan: &EntryPlan, before: Option<&Entry>) -> Option<Arc<Shared>> {
    let ServicePlan::Http(http) = &plan.service else {
        return None;
    };
    let before = before.and_then(|before| match &before.plan.service {
        ServicePlan::Http(plan) => Some((&**plan, &**before.shared.as_ref()?)),
        ServicePlan::Tcp(_) => None,
    });
    Some(Arc::new(Shared::new(http, before)))
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
        let feeds = targets.iter().zip(&resolutions);
        let feeds = feeds.map(|(target, resolution)| Feed {
            resolution: resolution.clone(),
            authority: target.authority.clone(),
            weight: target.weight,
        });
        let feeds: Vec<Feed> = feeds.collect();
        // Before anybody asks: what is known already serves from the first request on.
        refresh(endpoints, &feeds);
        let task = tokio::spawn(feed(Arc::clone(endpoints), feeds));
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
        Source::Unix(path) => discovery::fixed([Address::Unix(Arc::clone(path))]),
        Source::Dns(name) => dns(name, Question::Addresses(target.port)),
        Source::Srv(name) => dns(name, Question::Services),
        Source::File(path) => watch_file(path.clone(), known.clone()),
    }
}
