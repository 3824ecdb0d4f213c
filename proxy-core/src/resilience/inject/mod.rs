//! Makes faults on purpose, by configuration, to see what a workload makes of a slow or failing service.
//!
//! Shares are drawn for each request. It stands above timeouts and retries: what it does, the workload sees.

mod service;

pub use service::{Inject, InjectLayer, Params};
