//! The command line of the scenarios inside TLS.

use std::path::PathBuf;

use super::scenario::Scenario;
use crate::options::Shared;
use crate::peer::{BASELINE, SIDECAR};

/// What is measured unless `--proxies` says otherwise, in the order of the tables.
pub(super) const DEFAULT: [&str; 4] = [SIDECAR, BASELINE, "nginx", "envoy"];

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// Scenarios to run; all by default.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Scenario>,
    /// Proxies to measure.
    #[arg(long, value_delimiter = ',', default_values = DEFAULT)]
    pub(crate) proxies: Vec<String>,
    /// A further sidecar, as NAME=FILE with its program, such as an older one.
    #[arg(long = "peer", value_name = "NAME=FILE")]
    pub(crate) peers: Vec<String>,
    /// Seconds a measurement takes [default: 3].
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Connections in the scenario `memory`.
    #[arg(long, default_value_t = 5000)]
    pub(crate) idle: usize,
    /// The sidecar to measure; built by default.
    #[arg(long, value_name = "FILE", env = "REMORA_SIDECAR", hide_env = true)]
    pub(crate) sidecar: Option<PathBuf>,
}

impl Args {
    /// Whether a scenario is to be run.
    pub(super) fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }
}
