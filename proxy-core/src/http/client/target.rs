//! What the pools know of the endpoint: how to reach it, and within which limits.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::service::Params;
use crate::address::Address;
use crate::fault::Fault;
use crate::net::Stream;
use crate::net::proxy_protocol::Ends;
use crate::telemetry::{EntryCounters, Exchange};
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

    /// Between whom a connection is to be that carries this exchange, where the endpoint is told: then it carries
    /// those of no others.
    pub(super) fn ends(&self, exchange: Option<&Exchange>) -> Option<Ends> {
        let exchange = exchange.filter(|_| self.reach.introduces())?;
        Some(Ends {
            source: exchange.peer()?,
            destination: exchange.met_at().or_else(|| self.address().tcp())?,
        })
    }

    /// A new connection for `ends`, counted.
    pub(super) async fn connect(&self, offer: Offer, ends: Option<Ends>) -> Result<Stream, Fault> {
        self.reach(offer, ends)
            .await
            .map(|reached| reached.counted(Arc::clone(&self.counters)))
    }

    /// A new connection, and whether HTTP/2 is spoken on it.
    pub(super) async fn negotiate(&self) -> Result<(Stream, bool), Fault> {
        let reached = self.reach(Offer::Either, None).await?;
        let is_http2 = reached.is_http2();
        Ok((reached.counted(Arc::clone(&self.counters)), is_http2))
    }

    async fn reach(&self, offer: Offer, ends: Option<Ends>) -> Result<Reached, Fault> {
        let reached = self.reach.connect(offer, self.params.connect, ends).await;
        let count = match &reached {
            Ok(_) => &self.counters.connects,
            Err(_) => &self.counters.connect_failures,
        };
        count.fetch_add(1, Relaxed);
        reached
    }
}
