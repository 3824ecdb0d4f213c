//! What a configuration means: every default resolved, every number in the unit that the components use.
//!
//! Pure: [`compile`] opens no socket and asks no name server; what it must know of the machine it
//! asks of its [`World`]. A [`Plan`] holds the
//! `Params` of each component, so that components know nothing of the configuration's grammar, and
//! two plans can be compared entry by entry at a reload.

mod compile;
#[cfg(feature = "gateway")]
mod filters;
mod foretell;
mod inbound;
#[cfg(feature = "gateway")]
mod ingress;
mod mirror;
mod model;
mod obtained;
mod policy;
#[cfg(feature = "gateway")]
mod routes;
#[cfg(test)]
mod tests;

pub use compile::{World, compile};
pub use foretell::{Asked, foretell};
pub use model::{
    EntryPlan, HealthPlan, HedgePlan, HttpPlan, MirrorPlan, Plan, RequestPlan, RetryPlan,
    ServicePlan, Source, Target, TcpPlan,
};
pub use policy::is_below;
#[cfg(feature = "gateway")]
pub use routes::{LeadsTo, RoutePlan, RouteTable, RoutesPlan};
