//! Follows a name through DNS at the pace of its records' time to live.
//!
//! One query a name is in flight at most. A new set is published the moment its answer is in, so an
//! address that left the name gets no new request later than one look-up after its time to live. A
//! time to live outside [`Params`]'s bounds is clamped to them (RFC 2181 section 8 allows 0 and 2^31).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::{Lookup, Resolution, Resolve};

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

/// Follows `name` until every receiver is gone; `known` are its addresses until the first answer.
/// Must be called within a tokio runtime.
pub fn watch_dns(
    resolver: impl Resolve,
    name: String,
    port: u16,
    known: Arc<[SocketAddr]>,
    params: Params,
) -> watch::Receiver<Resolution> {
    let (sender, receiver) = watch::channel(Resolution {
        addresses: known,
        ..Resolution::default()
    });
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = follow(&resolver, &name, port, &params, &sender) => {}
        }
    });
    receiver
}

async fn follow(
    resolver: &impl Resolve,
    name: &str,
    port: u16,
    params: &Params,
    sender: &watch::Sender<Resolution>,
) {
    let mut failures = 0u32;
    loop {
        let known: Vec<IpAddr> = sender
            .borrow()
            .addresses
            .iter()
            .map(SocketAddr::ip)
            .collect();
        let pause = match resolver.resolve(name, &known).await {
            Ok(lookup) => {
                failures = 0;
                let pause = lookup.ttl.clamp(params.min_ttl, params.max_ttl);
                sender.send_modify(|resolution| accept(resolution, lookup, name, port));
                pause
            }
            Err(failure) => {
                if failures == 0 {
                    tracing::warn!(
                        name,
                        reason = failure.reason.token(),
                        "{failure}; the last good addresses are kept"
                    );
                }
                sender.send_modify(|resolution| {
                    resolution.failed += 1;
                    resolution.failure = Some(failure);
                });
                failures += 1;
                params.retry * 2u32.pow((failures - 1).min(3))
            }
        };
        sleep(pause).await;
    }
}

fn accept(resolution: &mut Resolution, lookup: Lookup, name: &str, port: u16) {
    let mut addresses: Vec<SocketAddr> = lookup
        .addresses
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    if *resolution.addresses != *addresses {
        tracing::info!(name, ?addresses, "resolved");
        resolution.addresses = Arc::from(addresses);
    }
    match lookup.partial {
        None => resolution.succeeded += 1,
        Some(_) => resolution.failed += 1,
    }
    resolution.failure = lookup.partial;
}
