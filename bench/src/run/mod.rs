//! Runs the measurements: repetition outermost, then proxy, then scenario, so that drift of the machine hits all alike.

pub(crate) mod child;
pub(crate) mod conditions;
pub(crate) mod cost;
pub(crate) mod launch;
pub(crate) mod ledger;
mod measure;
mod outcome;
pub(crate) mod prepare;
pub(crate) mod probe;
pub(crate) mod procfs;
pub(crate) mod scenario;
pub(crate) mod tool;

pub(crate) use measure::all;
pub(crate) use outcome::{Figures, Invalid, Outcome, Sample};
