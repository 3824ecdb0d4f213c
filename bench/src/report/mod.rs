//! Turns the figures of a run into a table, a JSON file, a chart and the results page.

pub(crate) mod chart;
pub(crate) mod machine;
mod publish;
mod summary;
mod table;

pub(crate) use publish::{About, GRAY, Kept, SCENARIOS, TLS, all};
pub(crate) use summary::median;
pub(crate) use table::aligned;
