//! The only place where layers are composed: one file a stack, outermost layer first.

#[cfg(feature = "acme")]
mod challenged;
mod directed;
mod downstream;
mod front;
mod paths;
mod reused;
#[cfg(feature = "gateway")]
mod router;
mod seam;
mod shared;
mod tcp;
mod upstream;

#[cfg(feature = "acme")]
pub use challenged::Challenged;
pub use directed::Directed;
pub use downstream::{Downstream, downstream};
pub use front::{Front, FrontFuture, Routed, Routes};
pub use reused::Reused;
#[cfg(feature = "gateway")]
pub use router::{Destination, Listener, Router};
pub use seam::Seam;
pub use shared::{Budgets, Shared};
pub use tcp::TcpStack;
pub use upstream::{Clients, Mirrors, Upstream, policies, upstream};
