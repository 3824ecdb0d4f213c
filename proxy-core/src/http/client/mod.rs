//! The client of one endpoint on one worker: its connections, and the request as the upstream must see it.
//!
//! HTTP/1.1 connections are pooled, HTTP/2 connections are shared. A request that a pooled
//! connection gives back unsent goes out on another one without anybody noticing; a request that
//! may not be repeated never rides on a connection that has been idle for long, because the
//! upstream may be closing it at that moment.

mod error;
mod h1;
mod h2;
mod negotiated;
mod prepare;
mod service;
mod streaming;
mod target;
#[cfg(test)]
mod tests;
mod turns;

pub use service::{Client, Params as ClientParams, Protocol};
