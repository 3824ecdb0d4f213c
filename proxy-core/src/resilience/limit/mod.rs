//! Turns requests away at once while as many as the service bears are under way.
//!
//! A request counts until its response's body has ended. The limit is a number, or it adapts: it
//! grows while answers come as fast as they used to, and shrinks when they get slower or fail for
//! overload. All workers share it. It queues nothing.

mod gradient;
mod service;

pub use service::{InFlight, Limit, LimitLayer, Params};
