//! The tower service that sends each try to a picked endpoint and records how it went.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

use super::pick::{Picker, Wanted};
use super::{Endpoint, EndpointSet, Outcome, Policy};
use crate::body::{Body, End, Watch};
use crate::fault::{Class, Fault, Reason, Side};
use crate::telemetry::{Carried, Exchange, Tried};

/// How long a request waits for the first look-up of its entry.
pub const FIRST_LOOKUP: Duration = Duration::from_secs(5);

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

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

    /// Picks an endpoint outside a request, for raw TCP. `tried` are avoided while there are others;
    /// `peer` is who asks.
    pub fn pick(&self, tried: &[SocketAddr], peer: SocketAddr) -> Option<(Arc<Endpoint>, S)> {
        let key = self.shared.policy.key(None, Some(peer));
        self.pick_by(tried, key)
    }

    fn pick_by(&self, tried: &[SocketAddr], key: Option<u64>) -> Option<(Arc<Endpoint>, S)> {
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

    /// The services of the endpoints that there are now; services of removed endpoints are dropped.
    pub fn services(&self) -> Vec<S> {
        self.shared.refresh();
        let local = self.shared.local.load();
        let services = local.tiers.iter().flat_map(|(_, services)| services);
        services.cloned().collect()
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
        let is_first = exchange.as_ref().is_some_and(|exchange| {
            exchange.story(|story| {
                story.tried.push(endpoint.address());
                story.tried.len() == 1
            })
        });
        let attempt = Attempt::begin(Arc::clone(set), endpoint, exchange, is_first);
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
            attempt.note(&result);
            match &mut result {
                Ok(response) => {
                    attempt.answered(outcome_of_head(response));
                    response.body_mut().watch(attempt);
                }
                Err(fault) => attempt.answered(outcome_of_fault(fault)),
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

/// The gRPC statuses of a service that is broken rather than asked for something wrong: UNKNOWN,
/// DEADLINE_EXCEEDED, INTERNAL and UNAVAILABLE, which Envoy's outlier detection counts as 5xx too.
const GRPC_FAILURES: [&[u8]; 4] = [b"2", b"4", b"13", b"14"];

fn outcome_of_head(response: &Response<Body>) -> Outcome {
    if response.status().is_server_error() || is_grpc_failure(response.headers()) {
        Outcome::Failure
    } else {
        Outcome::Success
    }
}

fn is_grpc_failure(headers: &HeaderMap) -> bool {
    headers
        .get(GRPC_STATUS)
        .is_some_and(|status| GRPC_FAILURES.contains(&status.as_bytes()))
}

/// What a fault says of the endpoint that it was met on.
pub fn outcome_of_fault(fault: &Fault) -> Outcome {
    if fault.is_stale() || fault.reason().side() != Side::Upstream {
        return Outcome::Unknown;
    }
    match fault.reason().class() {
        Class::Connect | Class::Reset => Outcome::Unreachable,
        Class::Timeout | Class::Other => Outcome::Failure,
    }
}

/// One try: in flight on its endpoint until dropped, and recorded once.
struct Attempt {
    set: Arc<EndpointSet>,
    endpoint: Arc<Endpoint>,
    exchange: Option<Exchange>,
    begun: Instant,
    recorded: bool,
    /// Whether the head of the answer was a good one.
    succeeded: bool,
    /// Whether the trailers say that the call failed.
    failed: bool,
}

impl Attempt {
    fn begin(
        set: Arc<EndpointSet>,
        endpoint: Arc<Endpoint>,
        exchange: Option<Exchange>,
        is_first: bool,
    ) -> Self {
        endpoint.load().begin();
        // The first try begins with its exchange: no need to look at the clock again.
        let begun = match &exchange {
            Some(exchange) if is_first => exchange.started(),
            _ => Instant::now(),
        };
        Self {
            set,
            endpoint,
            exchange,
            begun,
            recorded: false,
            succeeded: false,
            failed: false,
        }
    }

    fn record(&self, outcome: Outcome) {
        let now = Instant::now();
        self.set
            .record(&self.endpoint, outcome, now - self.begun, now);
    }

    /// Tells whoever asked that the try was given up from outside.
    fn explain_given_up(&self, slow: bool) {
        let why = if slow {
            "given up for being slow"
        } else {
            "given up"
        };
        if let Some(exchange) = &self.exchange {
            exchange.explained(|explained| {
                explained.tries.push(Tried {
                    endpoint: self.endpoint.address(),
                    at: self.begun.saturating_duration_since(exchange.started()),
                    took: self.begun.elapsed(),
                    outcome: why.to_owned(),
                });
            });
        }
    }

    /// Tells whoever may have to wait for this endpoint whether there is another one.
    fn look_for_another(&self, result: &Result<Response<Body>, Fault>) {
        let waits = matches!(result, Ok(response) if response.headers().contains_key(RETRY_AFTER));
        if let (true, Some(exchange)) = (waits, &self.exchange) {
            let tried = exchange.story(|story| story.tried.clone());
            let is_there = self.set.endpoints().iter().any(|endpoint| {
                !tried.contains(&endpoint.address())
                    && !endpoint.is_ejected(self.set.eject_params())
                    && !endpoint.is_unhealthy()
            });
            exchange.note_alternative(is_there);
        }
    }

    /// Tells whoever asked how the try ended.
    fn tell(&self, result: &Result<Response<Body>, Fault>) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        exchange.explained(|explained| {
            explained.tries.push(Tried {
                endpoint: self.endpoint.address(),
                at: self.begun.saturating_duration_since(exchange.started()),
                took: self.begun.elapsed(),
                outcome: match result {
                    Ok(response) => format!("status {}", response.status().as_u16()),
                    Err(fault) => format!("{}: {}", fault.reason().token(), fault.story()),
                },
            });
        });
    }

    /// Keeps what failed among the last failures.
    fn note(&self, result: &Result<Response<Body>, Fault>) {
        let outcome = match result {
            Ok(response) => outcome_of_head(response),
            Err(fault) => outcome_of_fault(fault),
        };
        let failed = matches!(outcome, Outcome::Failure | Outcome::Unreachable);
        let Some(exchange) = self.exchange.as_ref().filter(|_| failed) else {
            return;
        };
        match result {
            Ok(response) if response.status().is_server_error() => {
                let detail = format!("status {}", response.status().as_u16());
                self.note_as(exchange, None, &detail);
            }
            Ok(response) => self.note_grpc(response.headers()),
            Err(fault) => self.note_as(exchange, Some(fault.reason()), &fault.story()),
        }
    }

    fn note_grpc(&self, fields: &HeaderMap) {
        let status = fields
            .get(GRPC_STATUS)
            .and_then(|field| field.to_str().ok());
        if let (Some(exchange), Some(status)) = (&self.exchange, status) {
            self.note_as(exchange, None, &format!("grpc-status {status}"));
        }
    }

    fn note_as(&self, exchange: &Exchange, reason: Option<Reason>, detail: &str) {
        let failures = &exchange.counters().failures;
        failures.tried(reason, detail, self.endpoint.address());
    }

    fn answered(&mut self, outcome: Outcome) {
        self.recorded = true;
        self.succeeded = outcome == Outcome::Success;
        self.record(outcome);
    }
}

impl Watch for Attempt {
    fn trailers(&mut self, trailers: &HeaderMap) {
        if is_grpc_failure(trailers) {
            self.failed = true;
            self.note_grpc(trailers);
        }
    }

    /// Only a whole answer speaks for the endpoint's health.
    fn end(&mut self, end: End<'_>) {
        let cut = matches!(end, End::Failed(fault) if fault.reason() == Reason::ResponseIncomplete);
        if let (End::Failed(fault), true, Some(exchange)) = (&end, cut, &self.exchange) {
            self.note_as(exchange, Some(fault.reason()), &fault.story());
        }
        if cut || self.failed {
            self.record(Outcome::Failure);
        } else if matches!(end, End::Complete) && self.succeeded {
            self.set.note_success(&self.endpoint);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.load().end();
        if !self.recorded {
            // Given up from outside: held against the endpoint only when it was given up for being slow.
            let slow = self.exchange.as_ref().is_some_and(Exchange::timed_out);
            self.explain_given_up(slow);
            let outrun = self.exchange.as_ref().is_some_and(Exchange::is_outrun);
            if slow && let Some(exchange) = &self.exchange {
                let reason = Some(Reason::ResponseTimeout);
                self.note_as(exchange, reason, "given up for being slow");
            }
            self.record(match (slow, outrun) {
                (true, _) => Outcome::Failure,
                (false, true) => Outcome::Outrun,
                (false, false) => Outcome::Unknown,
            });
        }
    }
}
