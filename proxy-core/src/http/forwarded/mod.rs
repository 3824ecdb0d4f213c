//! Tells the workload who called, in `X-Forwarded-*` and `Forwarded` (RFC 7239), whoever claims to be somebody else.
//!
//! Of what a request says itself about its callers nothing goes on, unless it comes from a trusted peer: then
//! the peer's address is added behind it, and what it says of scheme and host is kept. A field whose name only
//! looks like one of these to workloads that read `_` as `-` (CGI does, RFC 3875, section 4.1.18) never goes on.
//!
//! It stands below [`Hygiene`](super::Hygiene), and such fields are none that `Connection` can take away: so
//! what is set here arrives, and what a trusted peer says is not lost to what its own caller wrote.
//!
//! It does not read the fields: who is an endpoint's `hash: source`, or who is logged, is the peer.

mod fields;
mod service;
#[cfg(test)]
mod tests;

pub use crate::net::Network;
pub(super) use fields::{is_claim, is_client_cert, is_read_as};
pub use service::{Forward, ForwardLayer, Params};
