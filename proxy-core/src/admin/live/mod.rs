//! The live page: one HTML page, and a stream of server-sent events that it draws, one a second.
//!
//! Invariants: nothing is computed while nobody watches; who watches costs the data path nothing, as
//! counters are only read. What a reader is slow to take is never queued: the next snapshot is made
//! when the last one is on its way. There are at most as many streams as [`Places`], and each ends
//! when the process drains.
//!
//! It shows no path, query, header or body of a request, and acts on nothing.

mod page;
mod rates;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use page::page;
pub use stream::Places;
pub(super) use stream::{Events, watch};
