//! What an inbound entry means beyond what an outbound one would.

use super::{EntryPlan, ServicePlan};
use crate::config::{self, ForwardedField, Inbound};
use crate::http::{ForwardParams, Network};

/// Adds to the plan of an entry what only the inbound role has.
pub(super) fn complete(plan: &mut EntryPlan, inbound: &Inbound) {
    if let ServicePlan::Http(http) = &mut plan.service {
        http.forward = inbound.forwarded.on().map(forward);
    }
    if let Some(health) = &mut plan.health {
        // Its endpoint is the workload of this pod: where that is not well, nobody else is.
        health.gates = true;
    }
}

fn forward(forwarded: &config::Forwarded) -> ForwardParams {
    let trust = forwarded.trust.iter();
    ForwardParams {
        trust: trust
            .map(|range| Network::new(range.address, range.prefix))
            .collect(),
        x_forwarded: forwarded.fields.contains(&ForwardedField::XForwarded),
        forwarded: forwarded.fields.contains(&ForwardedField::Forwarded),
        // There is no TLS towards callers yet.
        secure: false,
    }
}
