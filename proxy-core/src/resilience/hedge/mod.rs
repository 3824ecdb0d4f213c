//! Sends a second try beside one that has no response head yet, and takes the answer that comes first.
//!
//! "The Tail at Scale" (Dean and Barroso, 2013). Only requests without a body and of a method that may
//! be repeated are hedged, only after [`Params::after`], and only within a [`Budget`] of its own, so
//! that a service that is slow as a whole does not get twice the load. The balancer sends the second
//! try elsewhere. What is given up counts as slow for its endpoint, not as failed.
//!
//! [`Budget`]: crate::resilience::retry::Budget

mod service;
#[cfg(test)]
mod tests;

pub use service::{Hedge, HedgeLayer, Params};
