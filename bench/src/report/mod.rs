//! Turns the figures of a run into a table, a JSON file, a chart and the results page.

mod chart;
mod machine;
mod publish;
mod summary;
mod table;

pub(crate) use publish::all;
