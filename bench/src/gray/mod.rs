//! The scenario of gray failures: what a caller notices of one endpoint of three that fails in some way.
//!
//! It stands apart from the other scenarios, because it needs more than one endpoint, settings of the
//! proxies made for it, and a time that passes while the fault lasts.

mod cell;
mod chart;
mod envoy;
mod options;
mod peers;
mod publish;
mod run;
mod summary;
mod table;

pub(crate) use options::Args;
pub(crate) use publish::report;
pub(crate) use run::all;
