//! The admin interface: the live page, `/livez`, `/readyz`, `/metrics`, `/config`, `POST /reload`, `POST /drain`.
//!
//! It reads a [`View`] that the runtime keeps current, and passes on what is asked for; it decides nothing.

mod live;
mod metrics;
mod process;
mod server;
mod view;

pub use live::Places;
pub use metrics::exposition;
pub use server::serve;
pub use view::{Asked, EntryView, View};
