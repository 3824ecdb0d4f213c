//! Sends a request again when that is safe, likely to help, and within the budget.
//!
//! - Only for the conditions of [`Params::on`], at most [`Params::attempts`] times, after a jittered pause.
//! - A method outside [`Params::methods`] only when nothing of it reached an upstream (RFC 9110, 9.2.2).
//! - A body only while all of it that was sent is still in memory: [`Params::body`] bytes.
//! - Only while the [`Budget`] lasts. It limits the rate of retries, not how many are in flight, so
//!   that an outage of every endpoint multiplies the load by at most `1 + budget`. A retry of a
//!   request that reached no upstream spends none of it: it adds nothing to anybody's load.
//!
//! Another endpoint is the balancer's choice: it avoids those that the exchange has tried.

mod backoff;
mod budget;
mod condition;
mod replay;
mod service;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use budget::Budget;
pub use condition::Condition;
pub use service::{Params, Retry, RetryLayer};
