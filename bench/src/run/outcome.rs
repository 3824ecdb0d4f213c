//! What a run yields: its figures, the measurements that do not count, and its conditions.

use std::time::Duration;

use crate::metric::Metric;
use crate::peer::Peer;

/// The figures of one scenario with one proxy.
pub(crate) type Figures = Vec<(Metric, f64)>;

/// One figure of one repetition.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) rep: usize,
    pub(crate) proxy: String,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

/// A measurement that does not count, and why.
#[derive(Clone, Debug)]
pub(crate) struct Invalid {
    pub(crate) rep: usize,
    pub(crate) proxy: String,
    pub(crate) scenario: String,
    pub(crate) why: String,
}

/// All that a run yields.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) peers: Vec<Peer>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) invalid: Vec<Invalid>,
    /// The conditions of the run, one sentence each.
    pub(crate) notes: Vec<String>,
    pub(crate) took: Duration,
}
