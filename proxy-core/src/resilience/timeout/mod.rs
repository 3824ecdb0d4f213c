//! Bounds the time from a request to the head of its response; a body still on its way up keeps the clock from running out.
//!
//! The clock starts anew with each chunk of the request's body that is handed on, so that a long
//! upload is no timeout and a stalled one is. The response's body is not bounded here: see
//! `timeout.idle`. A request may ask for less time than it would get; then its own time counts, from
//! its head on, and each try is told what is left.

mod allowance;
mod service;
#[cfg(test)]
mod tests;
mod timers;

pub use allowance::{Allowance, AllowanceLayer, asked};
pub use service::{Bound, Timeout, TimeoutLayer};
