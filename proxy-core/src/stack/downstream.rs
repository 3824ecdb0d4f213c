//! From the server to the seam: what happens to a request before it is known where it goes.

use std::sync::Arc;

use tower::ServiceBuilder;

use super::Seam;
use crate::http::{
    Explain, ExplainLayer, Forward, ForwardLayer, Hygiene, HygieneLayer, Record, RecordLayer,
    Respond, RespondLayer, Upgrade, UpgradeLayer,
};
use crate::plan::HttpPlan;
use crate::telemetry::{AccessLog, EntryCounters};

/// The composed service.
pub type Downstream = Record<Explain<Respond<Hygiene<Forward<Upgrade<Seam>>>>>>;

/// Composes the downstream stack of one entry on one worker.
pub fn downstream(
    name: &Arc<str>,
    plan: &HttpPlan,
    counters: &Arc<EntryCounters>,
    log: &AccessLog,
    upstream: Seam,
) -> Downstream {
    ServiceBuilder::new()
        // Outermost: whatever happens is recorded, the responses that we make ourselves included.
        .layer(RecordLayer::new(
            Arc::clone(name),
            Arc::clone(counters),
            log.clone(),
        ))
        // Above the responses that we make ourselves: they are explained too.
        .layer(ExplainLayer::new(Arc::clone(name), plan.explain))
        // Everything below fails with a fault; here it becomes a response.
        .layer(RespondLayer::new(plan.explain))
        // Nothing below sees a field of the hop, or a request without one clear authority.
        .layer(HygieneLayer)
        // Below that: what is said of the caller here, the caller cannot take away or add to.
        .layer(ForwardLayer::new(plan.forward.clone()).with_client_cert(plan.client_cert))
        // Above the retries, because a connection can be handed over only once.
        .layer(UpgradeLayer::new(plan.tunnel_idle))
        .service(upstream)
}
