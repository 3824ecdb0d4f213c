//! What the pools know of the endpoint: how to reach it, and within which limits.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::service::Params;
use crate::address::Address;
use crate::fault::Fault;
use crate::net::Stream;
use crate::telemetry::EntryCounters;
use crate::tls::{Offer, Reach, Reached};

/// An endpoint.
#[derive(Debug, Clone)]
pub(super) struct Target {
    reach: Reach,
    pub(super) params: Params,
    counters: Arc<EntryCounters>,
}

impl Target {
    pub(super) fn new(reach: Reach, params: Params, counters: Arc<EntryCounters>) -> Self {
        Self {
            reach,
            params,
            counters,
        }
    }

    pub(super) fn address(&self) -> &Address {
        self.reach.address()
    }

    /// A new connection, counted.
    pub(super) async fn connect(&self, offer: Offer) -> Result<Stream, Fault> {
        self.reach(offer)
            .await
            .map(|reached| reached.counted(Arc::clone(&self.counters)))
    }

    /// A new connection, and whether HTTP/2 is spoken on it.
    pub(super) async fn negotiate(&self) -> Result<(Stream, bool), Fault> {
        let reached = self.reach(Offer::Either).await?;
        let is_http2 = reached.is_http2();
        Ok((reached.counted(Arc::clone(&self.counters)), is_http2))
    }

    async fn reach(&self, offer: Offer) -> Result<Reached, Fault> {
        let reached = self.reach.connect(offer, self.params.connect).await;
        let count = match &reached {
            Ok(_) => &self.counters.connects,
            Err(_) => &self.counters.connect_failures,
        };
        count.fetch_add(1, Relaxed);
        reached
    }
}
