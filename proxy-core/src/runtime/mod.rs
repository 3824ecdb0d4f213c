//! Runs a compiled plan: binds, starts one thread a worker, reloads without dropping a request, drains.
//!
//! The control thread owns everything that is not a request: discovery, signals, the admin
//! interface, reloads. Workers own their listeners, connections and pools, so that a request never
//! leaves its thread; they get whole layouts from the control thread and find out themselves what changed.

mod aside;
mod bound;
mod drain;
mod entry;
mod handle;
mod inherited;
mod layout;
mod loaded;
mod notify;
#[cfg(feature = "gateway")]
mod passthrough;
mod process;
mod served;
mod signals;
mod worker;

pub use aside::aside;
pub use handle::{Handle, start};
pub use loaded::{Loaded, Source};
pub use process::{Error, run, run_until};
