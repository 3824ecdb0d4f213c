//! What keeps a request alive or ends it in time: one folder a layer, each usable alone.

pub mod retry;
pub mod timeout;
