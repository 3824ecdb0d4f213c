//! What a configuration means: every default resolved, every number in the unit that the components use.
//!
//! Pure: [`compile`] reads no file, opens no socket and asks no name server. A [`Plan`] holds the
//! `Params` of each component, so that components know nothing of the configuration's grammar, and
//! two plans can be compared entry by entry at a reload.

mod compile;
mod model;
#[cfg(test)]
mod tests;

pub use compile::compile;
pub use model::{
    EntryPlan, HealthPlan, HttpPlan, Plan, RetryPlan, ServicePlan, Source, Target, TcpPlan,
};
