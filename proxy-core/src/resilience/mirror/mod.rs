//! Sends copies of requests to another service, whose answers are thrown away: mirroring, or traffic shadowing.
//!
//! - Nobody waits for a copy, and nothing that becomes of it is seen by who sent the request. It has an
//!   [`Exchange`](crate::telemetry::Exchange) of its own, so that it does not occupy the connection of the request.
//! - A body is not read for the copy: the copy gets what the request's own way reads, as it is read
//!   (`tee.rs`). A copy that lags more than 1 MiB behind is given up, and so it is when all copies that share a
//!   [`Backlog`] hold 16 MiB; the request goes on.
//! - A copy of a body that was cut, or that was given up, is cut too: it never looks complete.
//! - A copy says so in `x-remora-mirrored`. A request that says so is not copied again, so that mirrors
//!   which lead to each other end. `Expect` is not copied, because nobody would wait for the 100.
//! - Upgrades are not copied: there is no second end for the tunnel.
//! - An answer is read to its end, for five minutes at the most.
//!
//! It sends a copy once, whatever happens to the request below it. How many copies there are at once is up to
//! the service that takes them.

mod service;
mod tee;
#[cfg(test)]
mod tests;

pub use service::{Mirror, MirrorLayer, Params, is_copied};
pub use tee::Backlog;
