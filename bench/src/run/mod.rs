//! Runs the measurements: repetition outermost, then proxy, then scenario, so that drift of the machine hits all alike.

mod child;
mod measure;
mod outcome;
mod prepare;
mod probe;
mod procfs;
pub(crate) mod scenario;
mod tool;

pub(crate) use measure::all;
pub(crate) use outcome::{Invalid, Outcome, Sample};
