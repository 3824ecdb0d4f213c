//! What the upstream stacks of one entry share over all workers: budgets, and the requests under way.

use std::sync::Arc;

use crate::plan::{HttpPlan, RequestPlan};
use crate::resilience::limit::InFlight;
use crate::resilience::mirror::Backlog;
use crate::resilience::retry::Budget;

/// The budgets of the requests of one policy.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Retries.
    pub retry: Arc<Budget>,
    /// Second tries beside slow ones.
    pub hedge: Arc<Budget>,
}

/// The shared state of one entry.
#[derive(Debug)]
pub struct Shared {
    /// The limit of requests at once, if there is one.
    pub limit: Option<Arc<InFlight>>,
    /// The budgets of the entry's own policy, and then those of its paths, in the plan's order.
    pub budgets: Vec<Budgets>,
    /// What copies for its mirrors hold.
    pub backlog: Arc<Backlog>,
}

impl Shared {
    /// What `plan` needs. What `before` has is kept as far as the plans agree.
    pub fn new(plan: &HttpPlan, before: Option<(&HttpPlan, &Self)>) -> Self {
        let kept = before.and_then(|(_, shared)| shared.limit.as_ref());
        let limit = plan.limit.map(|params| match kept {
            Some(kept) if kept.params() == params => Arc::clone(kept),
            _ => Arc::new(InFlight::new(params)),
        });
        let policies = plan.policies().enumerate();
        let budgets = policies.map(|(index, (path, policy))| {
            let known = before.and_then(|(plan, shared)| {
                let (known, former) = plan.policies().nth(index)?;
                (known == path && shares(former) == shares(policy))
                    .then(|| shared.budgets.get(index).cloned())?
            });
            known.unwrap_or_else(|| {
                let ((share, floor), hedges) = shares(policy);
                Budgets {
                    retry: Arc::new(Budget::new(share, floor)),
                    hedge: Arc::new(Budget::new(hedges, 0)),
                }
            })
        });
        let backlog = before.map(|(_, shared)| Arc::clone(&shared.backlog));
        Self {
            limit,
            budgets: budgets.collect(),
            backlog: backlog.unwrap_or_default(),
        }
    }
}

/// What the budgets of a policy allow.
fn shares(policy: &RequestPlan) -> ((f64, u32), f64) {
    let retry = policy.retry.as_ref();
    let hedge = policy.hedge.as_ref();
    (
        retry.map_or((0.0, 0), |retry| (retry.budget, retry.floor)),
        hedge.map_or(0.0, |hedge| hedge.budget),
    )
}
