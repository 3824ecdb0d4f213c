//! The admin interface: `/livez`, `/readyz`, `/metrics`, `/config`, `POST /reload`, `POST /drain`.
//!
//! It reads a [`View`] that the runtime keeps current, and passes on what is asked for; it decides nothing.

mod metrics;
mod process;
mod server;
mod view;

pub use metrics::exposition;
pub use server::serve;
pub use view::{Asked, EntryView, View};
