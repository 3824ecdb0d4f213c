//! The only place where layers are composed: one file a stack, outermost layer first.

mod downstream;
mod paths;
mod reused;
mod seam;
mod shared;
mod tcp;
mod upstream;

pub use downstream::{Downstream, downstream};
pub use reused::Reused;
pub use seam::Seam;
pub use shared::{Budgets, Shared};
pub use tcp::TcpStack;
pub use upstream::{Clients, Mirrors, Upstream, policies, upstream};
