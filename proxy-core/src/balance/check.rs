//! Active health checks: asks each endpoint now and then, whether or not there are requests for it.
//!
//! An endpoint is in the rotation until it has failed [`Params::failures`] checks in a row, and again
//! after [`Params::successes`]. When more than half of the endpoints are out by their checks, the
//! checks are not heeded: a check that fails everywhere says more of the check ("panic threshold", as
//! Envoy calls it). How an endpoint is asked is the [`Probe`]'s.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::{Endpoint, EndpointSet};

/// Endpoints that are asked at once.
const AT_ONCE: usize = 32;

/// How often endpoints are asked, and what counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// From one round to the next; each is shifted by up to a tenth, so that proxies do not ask in step.
    pub every: Duration,
    /// Failed checks in a row that take an endpoint out.
    pub failures: u32,
    /// Good checks in a row that bring it back.
    pub successes: u32,
}

/// Asks one endpoint.
pub trait Probe: Send + Sync {
    /// Fails with what is wrong.
    fn probe(&self, endpoint: &Endpoint) -> impl Future<Output = Result<(), String>> + Send;
}

/// Checks the endpoints of a set for ever.
pub async fn check(set: Arc<EndpointSet>, params: Params, probe: impl Probe) {
    loop {
        let endpoints = set.endpoints();
        futures_util::stream::iter(endpoints.iter())
            .for_each_concurrent(AT_ONCE, async |endpoint| {
                let result = probe.probe(endpoint).await;
                note(&set, endpoint, &params, result);
            })
            .await;
        set.weigh_checks();
        let shift = 0.9 + fastrand::f64() / 5.0;
        tokio::time::sleep(params.every.mul_f64(shift)).await;
    }
}

fn note(set: &EndpointSet, endpoint: &Endpoint, params: &Params, result: Result<(), String>) {
    set.count_check(result.is_ok());
    endpoint.complain(result.as_ref().err().cloned());
    let changed = endpoint.health().checked(result.is_ok(), params);
    match (changed, result) {
        (true, Ok(())) => {
            set.return_slowly(endpoint);
            tracing::info!(address = %endpoint.address(), "endpoint healthy again");
        }
        (true, Err(why)) => {
            tracing::warn!(address = %endpoint.address(), why, "endpoint unhealthy");
        }
        (false, _) => {}
    }
}
