//! The tower service that sends each try to a picked endpoint and records how it went.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use super::attempt::{Attempt, outcome_of_fault, outcome_of_head};
use super::pick::{Picker, Wanted};
use super::{Endpoint, EndpointSet, Policy};
use crate::address::Address;
use crate::body::Body;
use crate::fault::Fault;
use crate::telemetry::{Carried, Exchange};

/// How long a request waits for the first look-up of its entry.
pub const FIRST_LOOKUP: Duration = Duration::from_secs(5);

/// One worker's view of an [`EndpointSet`], with a service `S` for each endpoint, made by `F` when the endpoint appears.
pub struct Balance<F, S> {
    shared: Arc<Shared<F, S>>,
}

struct Shared<F, S> {
    set: Arc<EndpointSet>,
    policy: Policy,
    make: F,
    local: ArcSwap<Local<S>>,
}

struct Local<S> {
    version: u64,
    /// The lowest tier first. One picker and its endpoints' services a tier.
    tiers: Vec<(Picker, Vec<S>)>,
}

impl<F, S> Balance<F, S>
where
    F: Fn(&Arc<Endpoint>) -> S,
    S: Clone,
{
    /// A view of `set`, from which `policy` chooses.
    pub fn new(set: Arc<EndpointSet>, policy: Policy, make: F) -> Self {
        let empty = Local {
            version: u64::MAX,
            tiers: Vec::new(),
        };
        Self {
            shared: Arc::new(Shared {
                set,
                policy,
                make,
                local: ArcSwap::from_pointee(empty),
            }),
        }
    }

    /// The same, beginning with services that endpoints have already.
    pub fn knowing(self, known: Vec<(Arc<Endpoint>, S)>) -> Self {
        let (endpoints, services) = known.into_iter().unzip();
        let known = Local {
            version: u64::MAX,
            tiers: vec![(Picker::new(endpoints, &Policy::P2c), services)],
        };
        self.shared.local.store(Arc::new(known));
        self
    }

    /// Picks an endpoint outside a request, for raw TCP. `tried` are avoided while there are others;
    /// `peer` is who asks.
    pub fn pick(&self, tried: &[Address], peer: SocketAddr) -> Option<(Arc<Endpoint>, S)> {
        let key = self.shared.policy.key(None, Some(peer));
        self.pick_by(tried, key)
    }

    fn pick_by(&self, tried: &[Address], key: Option<u64>) -> Option<(Arc<Endpoint>, S)> {
        self.shared.refresh();
        let local = self.shared.local.load();
        let asked = Wanted {
            eject: self.shared.set.eject_params(),
            heed: self.shared.set.heeds_checks(),
            tried,
            key,
        };
        let picked = local.tiers.iter().find_map(|(picker, services)| {
            let index = picker.pick(&asked)?;
            Some((picker, services, index))
        });
        // Everything is ejected or tried.
        let (picker, services, index) = picked.or_else(|| {
            let (picker, services) = local.tiers.first()?;
            Some((picker, services, picker.any(tried)?))
        })?;
        let endpoint = Arc::clone(&picker.endpoints()[index]);
        Some((endpoint, services[index].clone()))
    }

    /// The endpoints that there are now, with their services; services of removed endpoints are dropped.
    pub fn services(&self) -> Vec<(Arc<Endpoint>, S)> {
        self.shared.refresh();
        let local = self.shared.local.load();
        let pairs = local
            .tiers
            .iter()
            .flat_map(|(picker, services)| picker.endpoints().iter().cloned().zip(services));
        pairs
            .map(|(endpoint, service)| (endpoint, service.clone()))
            .collect()
    }

    /// The set that this is a view of.
    pub fn set(&self) -> &Arc<EndpointSet> {
        &self.shared.set
    }
}

impl<F, S> Shared<F, S>
where
    F: Fn(&Arc<Endpoint>) -> S,
    S: Clone,
{
    /// Takes over a changed set. Services of endpoints that stay are kept, with their connections.
    fn refresh(&self) {
        let version = self.set.version();
        let old = self.local.load();
        if old.version == version {
            return;
        }
        let known: std::collections::HashMap<*const Endpoint, &S> = old
            .tiers
            .iter()
            .flat_map(|(picker, services)| picker.endpoints().iter().map(Arc::as_ptr).zip(services))
            .collect();
        let service = |endpoint: &Arc<Endpoint>| {
            let known = known.get(&Arc::as_ptr(endpoint));
            known.map_or_else(|| (self.make)(endpoint), |service| (*service).clone())
        };
        let mut tiers: BTreeMap<u16, Vec<Arc<Endpoint>>> = BTreeMap::new();
        for endpoint in self.set.endpoints().iter() {
            let tier = tiers.entry(endpoint.tier()).or_default();
            tier.push(Arc::clone(endpoint));
        }
        let tiers = tiers.into_values().map(|endpoints| {
            let services = endpoints.iter().map(service).collect();
            (Picker::new(endpoints, &self.policy), services)
        });
        let tiers = tiers.collect();
        self.local.store(Arc::new(Local { version, tiers }));
    }
}

impl<F, S> Clone for Balance<F, S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<F, S> Service<Request<Body>> for Balance<F, S>
where
    F: Fn(&Arc<Endpoint>) -> S + Send + Sync + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = BalanceFuture<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let exchange = request.extensions().get::<Exchange>().cloned();
        let peer = exchange.as_ref().and_then(Exchange::peer);
        let key = self.shared.policy.key(Some(request.headers()), peer);
        let picked = match &exchange {
            Some(exchange) => exchange.story(|story| self.pick_by(&story.tried, key)),
            None => self.pick_by(&[], key),
        };
        if let Some((endpoint, service)) = picked {
            return BalanceFuture::Sent {
                trial: Trial::begin(self.set(), endpoint, service, exchange, request),
            };
        }
        let balance = self.clone();
        BalanceFuture::Waiting {
            trial: Box::pin(async move {
                let carried = Carried::new(request);
                let (endpoint, service) = balance.choose(exchange.as_ref(), key).await?;
                let request = carried.release();
                Trial::begin(balance.set(), endpoint, service, exchange, request).await
            }),
        }
    }
}

pin_project! {
    /// The response of [`Balance`].
    #[project = Step]
    pub enum BalanceFuture<F> {
        /// An endpoint was picked.
        Sent {
            #[pin]
            trial: Trial<F>,
        },
        /// There is no endpoint yet.
        Waiting {
            trial: Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>,
        },
    }
}

impl<F> Future for BalanceFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Step::Sent { trial } => trial.poll(cx),
            Step::Waiting { trial } => trial.as_mut().poll(cx),
        }
    }
}

pin_project! {
    /// One request on its way to one endpoint.
    pub struct Trial<F> {
        #[pin]
        inner: F,
        attempt: Option<Box<Attempt>>,
    }
}

impl<F> Trial<F> {
    fn begin<S>(
        set: &Arc<EndpointSet>,
        endpoint: Arc<Endpoint>,
        mut service: S,
        exchange: Option<Exchange>,
        request: Request<Body>,
    ) -> Self
    where
        S: Service<Request<Body>, Future = F>,
    {
        if let Some(exchange) = &exchange {
            exchange.story(|story| story.tried.push(endpoint.address().clone()));
        }
        let attempt = Attempt::begin(Arc::clone(set), endpoint, exchange);
        Self {
            inner: service.call(request),
            attempt: Some(Box::new(attempt)),
        }
    }
}

impl<F> Future for Trial<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut result = ready!(this.inner.poll(cx));
        if let Some(mut attempt) = this.attempt.take() {
            attempt.tell(&result);
            attempt.look_for_another(&result);
            let outcome = match &result {
                Ok(response) => outcome_of_head(response),
                Err(fault) => outcome_of_fault(fault),
            };
            attempt.note(&result, outcome);
            attempt.answered(outcome);
            if let Ok(response) = &mut result {
                response.body_mut().watch(attempt);
            }
        }
        Poll::Ready(result)
    }
}

impl<F, S> Balance<F, S>
where
    F: Fn(&Arc<Endpoint>) -> S,
    S: Clone,
{
    /// An endpoint as soon as the first look-up has ended.
    async fn choose(
        &self,
        exchange: Option<&Exchange>,
        key: Option<u64>,
    ) -> Result<(Arc<Endpoint>, S), Fault> {
        if !self.set().is_settled() {
            let _ = tokio::time::timeout(FIRST_LOOKUP, self.set().settled()).await;
        }
        let tried = exchange
            .map(|exchange| exchange.story(|story| story.tried.clone()))
            .unwrap_or_default();
        self.pick_by(&tried, key)
            .ok_or_else(|| self.set().absence())
    }
}
