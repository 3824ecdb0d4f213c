//! Follows a name through DNS at the pace of its records' time to live.
//!
//! One query a name is in flight at most. A new set is published the moment its answer is in, so an
//! address that left the name gets no new request later than one look-up after its time to live. A
//! time to live outside [`Params`]'s bounds is clamped to them (RFC 2181 section 8 allows 0 and 2^31).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::families::Families;
use super::{Found, LookupError, Resolution, Resolve};

/// A pause from this on is jittered.
const JITTERED: Duration = Duration::from_secs(10);

/// How closely a name is followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// A shorter time to live counts as this.
    pub min_ttl: Duration,
    /// A longer time to live counts as this.
    pub max_ttl: Duration,
    /// How long to wait after a failed look-up; doubles with each further one, up to eight times.
    pub retry: Duration,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(300),
            retry: Duration::from_millis(500),
        }
    }
}

/// What is asked about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Its addresses (A and AAAA); the port is known.
    Addresses(u16),
    /// Its services (SRV, RFC 2782), and the addresses of their hosts.
    Services,
}

/// Follows `name` until every receiver is gone; `known` are its endpoints until the first answer.
/// Must be called within a tokio runtime.
pub fn watch_dns(
    resolver: impl Resolve,
    name: String,
    question: Question,
    known: Arc<[Found]>,
    params: Params,
) -> watch::Receiver<Resolution> {
    let (sender, receiver) = watch::channel(Resolution {
        found: known,
        ..Resolution::default()
    });
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = follow(&resolver, &name, &question, &params, &sender) => {}
        }
    });
    receiver
}

async fn follow(
    resolver: &impl Resolve,
    name: &str,
    question: &Question,
    params: &Params,
    sender: &watch::Sender<Resolution>,
) {
    let mut failures = 0u32;
    let mut families = Families::default();
    loop {
        let known = sender.borrow().found.clone();
        let pause = match ask(resolver, name, question, &known).await {
            Ok(answer) => {
                failures = 0;
                let pause = jittered(answer.ttl.clamp(params.min_ttl, params.max_ttl));
                let until = Instant::now() + pause;
                let found = families.usable(name, answer.found.clone()).await;
                let partial = answer.partial;
                sender.send_modify(|resolution| resolution.accept(name, found, partial));
                while let Some(again) = families.again().filter(|again| *again < until) {
                    sleep_until(again).await;
                    let found = families.usable(name, answer.found.clone()).await;
                    sender.send_if_modified(|resolution| resolution.hold(name, found));
                }
                until.saturating_duration_since(Instant::now())
            }
            Err(failure) => {
                if failures == 0 {
                    let known = match known.is_empty() {
                        true => "no address is known yet",
                        false => "the last good addresses are kept",
                    };
                    tracing::warn!(name, reason = failure.reason.token(), "{failure}; {known}");
                }
                sender.send_modify(|resolution| resolution.reject(failure));
                failures += 1;
                params.retry * 2u32.pow((failures - 1).min(3))
            }
        };
        sleep(pause).await;
    }
}

/// A long pause is shortened by up to a tenth, so that those who learned of a name together do not
/// ask again together. It is never lengthened: an address may be gone when its time is over.
fn jittered(pause: Duration) -> Duration {
    if pause < JITTERED {
        return pause;
    }
    pause.mul_f64(1.0 - fastrand::f64() / 10.0)
}

struct Answer {
    found: Vec<Found>,
    ttl: Duration,
    partial: Option<LookupError>,
}

async fn ask(
    resolver: &impl Resolve,
    name: &str,
    question: &Question,
    known: &[Found],
) -> Result<Answer, LookupError> {
    let known: Vec<IpAddr> = known
        .iter()
        .filter_map(|found| Some(found.address.tcp()?.ip()))
        .collect();
    let port = match question {
        Question::Addresses(port) => *port,
        Question::Services => return ask_for_services(resolver, name).await,
    };
    let lookup = resolver.resolve(name, &known).await?;
    let found = lookup.addresses.into_iter();
    Ok(Answer {
        found: found.map(|ip| SocketAddr::new(ip, port).into()).collect(),
        ttl: lookup.ttl,
        partial: lookup.partial,
    })
}

/// The services of a name with the addresses of their hosts. Those of a host that cannot be
/// resolved are missing; when there is none at all, the look-up has failed.
async fn ask_for_services(resolver: &impl Resolve, name: &str) -> Result<Answer, LookupError> {
    let services = resolver.services(name).await?;
    let mut answer = Answer {
        found: Vec::new(),
        ttl: services.ttl,
        partial: None,
    };
    for service in services.services {
        match resolver.resolve(&service.host, &[]).await {
            Ok(lookup) => {
                answer.ttl = answer.ttl.min(lookup.ttl);
                let found = lookup.addresses.into_iter().map(|ip| Found {
                    address: SocketAddr::new(ip, service.port).into(),
                    tier: service.priority,
                    // Zero is for what is hardly ever to be picked; one is the least there is here.
                    weight: u32::from(service.weight).max(1),
                });
                answer.found.extend(found);
            }
            Err(failure) => answer.partial = Some(failure),
        }
    }
    match answer.partial {
        Some(failure) if answer.found.is_empty() => Err(failure),
        _ => Ok(answer),
    }
}
