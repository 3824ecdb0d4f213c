//! The command line of the scenario of gray failures.

use std::path::PathBuf;

use super::peers;
use crate::load::gray::Fault;
use crate::options::Shared;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// Faults to meet, besides none; all by default.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Fault>,
    /// Proxies to measure.
    #[arg(long, value_delimiter = ',', default_values = peers::DEFAULT)]
    pub(crate) proxies: Vec<String>,
    /// Seconds of a fault that are judged [default: 15].
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Requests a second.
    #[arg(long, default_value_t = 1000.0)]
    pub(crate) rate: f64,
    /// Health checks fare as requests do; by default they are answered well, whatever happens to requests.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Ask the ambassador for an explanation, and keep that of requests that took more milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) explain: Option<f64>,
    /// The ambassador to measure; built by default.
    #[arg(long, env = "REMORA_AMBASSADOR", hide_env = true)]
    pub(crate) binary: Option<PathBuf>,
    /// Another configuration for a proxy, with the placeholders of those in bench/peers.
    #[arg(long = "config", value_name = "PROXY=FILE")]
    pub(crate) configs: Vec<String>,
}

impl Args {
    /// How long a fault is judged.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
            .unwrap_or(if self.shared.quick { 4.0 } else { 15.0 })
            .max(0.5)
    }

    /// The faults to meet, after the baseline.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let wanted = |fault: &Fault| {
            *fault == Fault::Healthy || self.only.is_empty() || self.only.contains(fault)
        };
        Fault::ALL.into_iter().filter(wanted).collect()
    }
}
