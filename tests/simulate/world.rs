//! A made-up network: endpoints with a fate, requests at random times, and what became of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use proxy_core::balance::{Balance, Endpoint, EndpointSet, Target};
use proxy_core::body::Body;
use proxy_core::config::parse;
use proxy_core::fault::{Class, Fault, Reason};
use proxy_core::plan::{HttpPlan, Plan, ServicePlan, World, compile};
use proxy_core::stack::{Shared, policies};
use proxy_core::telemetry::{EntryCounters, EntryTelemetry, Exchange};
use tokio::time::{Instant, sleep};
use tower_service::Service;

/// What an endpoint does with requests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Healthy,
    /// Answers 503 to a share of the requests.
    Failing(f64),
    /// Takes so many times longer.
    Slow(u32),
    /// Never answers.
    Hanging,
    /// Refuses connections.
    Refusing,
    /// Closes connections without an answer.
    Resetting(f64),
    /// Is well and refuses in turns of so many milliseconds.
    Flapping(u64),
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Status(u16),
    Fault {
        reason: &'static str,
        detail: String,
    },
}

/// What became of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) settings: String,
    pub(crate) all_healthy: bool,
    pub(crate) endpoints: usize,
    pub(crate) requests: usize,
    pub(crate) endings: Vec<Ending>,
    pub(crate) took: Vec<Duration>,
    /// When, requests so far, and retries of what may have been seen so far.
    pub(crate) budget: Vec<(Duration, usize, usize)>,
    pub(crate) request_timeout: Duration,
    pub(crate) share: f64,
    pub(crate) floor: f64,
    pub(crate) hedge_share: f64,
    pub(crate) at_most: f64,
    pub(crate) limit: Option<usize>,
    pub(crate) retries: usize,
    pub(crate) denied_by_budget: u64,
    pub(crate) refused_by_limit: usize,
    pub(crate) hedges: u32,
    pub(crate) ejections: u64,
    pub(crate) most_ejected: usize,
    /// Tries at once, and those that never ended.
    pub(crate) most_under_way: usize,
    pub(crate) left_under_way: usize,
    pub(crate) in_flight_at_end: u32,
}

impl Run {
    /// Requests that did not end well.
    pub(crate) fn failed(&self) -> usize {
        let well = |ending: &&Ending| matches!(ending, Ending::Status(200));
        self.requests - self.endings.iter().filter(well).count()
    }
}

/// The tries that are under way in the made-up network.
#[derive(Debug, Default)]
struct Seen {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A try under way, until dropped.
struct UnderWay(Arc<Seen>);

impl UnderWay {
    fn begin(seen: &Arc<Seen>) -> Self {
        let now = seen.now.fetch_add(1, Relaxed) + 1;
        seen.most.fetch_max(now, Relaxed);
        Self(Arc::clone(seen))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

/// A made-up endpoint's end of the network.
#[derive(Clone)]
struct Wire {
    fate: Fate,
    base: Duration,
    seen: Arc<Seen>,
    born: Instant,
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let exchange = request.extensions_mut().remove::<Exchange>();
        let (wire, under_way) = (self.clone(), UnderWay::begin(&self.seen));
        Box::pin(async move {
            let _under_way = under_way;
            // Held until the answer is there, as a client holds what it may have to hand back.
            let _exchange = exchange.inspect(|exchange| {
                exchange.lay_down(request.into_parts().0);
            });
            wire.answer().await
        })
    }
}

impl Wire {
    async fn answer(&self) -> Result<Response<Body>, Fault> {
        let refused = || Fault::unseen(Reason::ConnectionRefused, "refused");
        let lost = || Fault::maybe_seen(Reason::ConnectionTerminated, "closed");
        let mut time = self.base.mul_f64(0.5 + fastrand::f64());
        let mut status = 200;
        match self.fate {
            Fate::Healthy => {}
            Fate::Slow(times) => time *= times,
            Fate::Failing(share) if fastrand::f64() < share => status = 503,
            Fate::Resetting(share) if fastrand::f64() < share => {
                sleep(time).await;
                return Err(lost());
            }
            Fate::Hanging => std::future::pending().await,
            Fate::Refusing => return Err(refused()),
            Fate::Flapping(period) => {
                let turn = self.born.elapsed().as_millis() as u64 / period;
                if turn % 2 == 1 {
                    return Err(refused());
                }
            }
            Fate::Failing(_) | Fate::Resetting(_) => {}
        }
        sleep(time).await;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        Ok(response)
    }
}

/// A configuration, drawn.
fn settings(rng: &mut Rng) -> String {
    let mut text = String::from("ambassador: {a: {listen: 'localhost:1', to: 'http://users'");
    let request = rng.u32(200..3000);
    let attempts = rng.u32(0..4);
    let budget = rng.u32(0..50);
    text += &format!(
        ", timeout: {{request: {request}ms, try: {}ms}}",
        rng.u32(50..1000).min(request)
    );
    text += &format!(
        ", retry: {{attempts: {attempts}, budget: {budget}%, floor: {}/s}}",
        rng.u32(0..20)
    );
    text += &format!(
        ", eject: {{failures: {}, for: {}ms, at-most: {}%}}",
        rng.u32(1..8),
        rng.u32(100..5000),
        rng.u32(0..100)
    );
    let balance = ["p2c", "least", "round-robin", "{hash: {header: x-key}}"];
    text += &format!(", balance: {}", rng.choice(balance).expect("one"));
    if rng.u32(0..3) == 0 {
        text += &format!(
            ", hedge: {{after: {}ms, budget: {}%}}",
            rng.u32(5..100),
            rng.u32(0..20)
        );
    }
    if rng.u32(0..5) == 0 {
        text += &format!(", limit: {{in-flight: {}}}", rng.u32(1..20));
    }
    text + "}}"
}

fn fate(rng: &mut Rng) -> Fate {
    match rng.u32(0..10) {
        0 => Fate::Failing(rng.f64()),
        1 => Fate::Slow(rng.u32(2..50)),
        2 => Fate::Hanging,
        3 => Fate::Refusing,
        4 => Fate::Resetting(rng.f64()),
        5 => Fate::Flapping(rng.u64(50..2000)),
        _ => Fate::Healthy,
    }
}

fn plan(text: &str) -> Plan {
    let document =
        parse(text, "the seed's", &|_| None).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let world = World {
        cpus: 1,
        env: &|_| None,
        usable: &|_| Ok(()),
        servable: &|_| Ok(()),
        read: &|_| Ok(Vec::new()),
    };
    compile(&document, &world).expect("a plan")
}

/// Runs a seed to its end.
pub(crate) async fn simulate(seed: u64) -> Run {
    let mut rng = Rng::with_seed(seed);
    let settings = settings(&mut rng);
    let plan = plan(&settings);
    let entry = &plan.entries[0];
    let ServicePlan::Http(http) = &entry.service else {
        panic!("not HTTP");
    };
    let fates: Vec<Fate> = (0..rng.usize(1..7)).map(|_| fate(&mut rng)).collect();
    let set = Arc::new(EndpointSet::new(entry.eject.clone()));
    set.update((0..fates.len()).map(target).collect(), None);
    let seen = Arc::new(Seen::default());
    let stack = {
        let (seen, fates) = (Arc::clone(&seen), fates.clone());
        let base = Duration::from_millis(rng.u64(1..20));
        let born = Instant::now();
        let make = move |endpoint: &Arc<Endpoint>| {
            let address = endpoint.address().tcp().expect("all are of TCP");
            Wire {
                fate: fates[usize::from(address.port()) - 1],
                base,
                seen: Arc::clone(&seen),
                born,
            }
        };
        let balance = Balance::new(Arc::clone(&set), http.balance.clone(), make);
        policies(http, &|_| None, &Shared::new(http, None), balance)
    };
    let telemetry = EntryTelemetry::new("a", 1);
    let mut run = blank(
        seed,
        settings,
        http,
        &fates,
        entry.eject.as_ref().map_or(0.0, |e| e.at_most),
    );
    drive(&mut rng, &mut run, stack, (&set, &telemetry)).await;
    let totals = telemetry.totals();
    run.ejections = set.ejections();
    run.retries = totals.retries().map(|(_, count)| count as usize).sum();
    run.most_under_way = seen.most.load(Relaxed);
    run.left_under_way = seen.now.load(Relaxed);
    run.denied_by_budget = totals
        .denied()
        .filter(|(why, _)| why.token() == "budget")
        .map(|(_, n)| n)
        .sum();
    run.hedges = totals.hedges().map(|(_, count)| count as u32).sum();
    run.in_flight_at_end = set
        .endpoints()
        .iter()
        .map(|endpoint| endpoint.in_flight())
        .sum();
    run
}

fn target(index: usize) -> Target {
    Target {
        address: SocketAddr::from(([10, 0, 0, 1], index as u16 + 1)).into(),
        authority: http::uri::Authority::from_static("users"),
        weight: 1,
        tier: 0,
    }
}

fn blank(seed: u64, settings: String, http: &HttpPlan, fates: &[Fate], at_most: f64) -> Run {
    let retry = http.policy.retry.as_ref();
    Run {
        seed,
        settings,
        all_healthy: fates.iter().all(|fate| *fate == Fate::Healthy),
        endpoints: fates.len(),
        requests: 0,
        endings: Vec::new(),
        took: Vec::new(),
        budget: Vec::new(),
        request_timeout: http.policy.request_timeout.expect("it is set"),
        share: retry.map_or(0.0, |retry| retry.budget),
        floor: retry.map_or(0.0, |retry| f64::from(retry.floor)),
        hedge_share: http.policy.hedge.as_ref().map_or(0.0, |hedge| hedge.budget),
        at_most,
        limit: http.limit.map(|limit| match limit {
            proxy_core::resilience::limit::Params::Fixed(limit) => limit as usize,
            proxy_core::resilience::limit::Params::Adaptive => usize::MAX,
        }),
        retries: 0,
        denied_by_budget: 0,
        refused_by_limit: 0,
        hedges: 0,
        ejections: 0,
        most_ejected: 0,
        most_under_way: 0,
        left_under_way: 0,
        in_flight_at_end: 0,
    }
}

/// Sends requests at random times, looks at the world after each, and waits for all of them.
async fn drive(
    rng: &mut Rng,
    run: &mut Run,
    stack: proxy_core::stack::Seam,
    (set, telemetry): (&Arc<EndpointSet>, &EntryTelemetry),
) {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    run.requests = rng.usize(20..200);
    for number in 0..run.requests {
        sleep(Duration::from_micros(rng.u64(0..60_000))).await;
        let request = request(rng, telemetry.worker(0), number);
        let mut stack = stack.clone();
        tasks.push(tokio::spawn(async move {
            let begun = Instant::now();
            let ending = match stack.call(request).await {
                Ok(response) => Ending::Status(response.status().as_u16()),
                Err(fault) => Ending::Fault {
                    reason: fault.reason().token(),
                    detail: fault.story(),
                },
            };
            (ending, begun.elapsed())
        }));
        let ejected = set
            .endpoints()
            .iter()
            .filter(|e| e.is_ejected(set.eject_params()))
            .count();
        run.most_ejected = run.most_ejected.max(ejected);
        run.budget
            .push((begun.elapsed(), number + 1, paid(telemetry)));
    }
    for task in tasks {
        let (ending, took) = task.await.expect("no panic");
        let refused = matches!(&ending, Ending::Fault { reason, .. } if *reason == "connection_limit_reached");
        run.refused_by_limit += usize::from(refused);
        run.endings.push(ending);
        run.took.push(took);
    }
    run.budget
        .push((begun.elapsed(), run.requests, paid(telemetry)));
}

/// Retries of what an endpoint may have seen: repeating what reached none is free.
fn paid(telemetry: &EntryTelemetry) -> usize {
    let totals = telemetry.totals();
    let free = Reason::ALL
        .iter()
        .filter(|reason| reason.class() == Class::Connect);
    let free: Vec<&str> = free.map(|reason| reason.token()).collect();
    let paid = totals.retries().filter(|(token, _)| !free.contains(token));
    paid.map(|(_, count)| count as usize).sum()
}

fn request(rng: &mut Rng, counters: &Arc<EntryCounters>, number: usize) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    if rng.u32(0..5) == 0 {
        *request.method_mut() = Method::POST;
    }
    let key = http::HeaderValue::from(number as u64 % 16);
    request.headers_mut().insert("x-key", key);
    let exchange = Exchange::begin(Arc::clone(counters), None);
    request.extensions_mut().insert(exchange);
    request
}
