//! Picks an endpoint for each try by a policy and by weight, around ejected endpoints.
//!
//! What is known of an endpoint (latency, load, health) is shared by all workers as atomics; the
//! services that reach it (its connection pool) belong to one worker. Invariant: a pick costs the same for ten endpoints and
//! for ten thousand, and never fails while there is an endpoint at all.

mod answers;
mod attempt;
mod check;
mod compare;
mod eject;
mod endpoint;
mod feed;
mod load;
mod pick;
mod policy;
mod ring;
mod service;
mod set;
mod subset;
#[cfg(test)]
mod tests;

pub use attempt::outcome_of_fault;
pub use check::{Params as CheckParams, Probe, check};
pub use eject::Params as EjectParams;
pub use endpoint::{Endpoint, Occupied, Outcome, Standing};
pub use feed::{Feed, feed, refresh};
pub use pick::owner;
pub use policy::{HashOn, Policy};
pub use service::{Balance, FIRST_LOOKUP};
pub use set::{EndpointSet, Target};
