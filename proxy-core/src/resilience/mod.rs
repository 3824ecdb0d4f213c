//! What keeps a request alive, ends it in time or turns it away: one folder a layer, each usable alone.

pub mod hedge;
pub mod inject;
pub mod limit;
pub mod mirror;
pub mod retry;
pub mod timeout;
