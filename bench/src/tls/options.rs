//! The command line of the scenarios inside TLS.

use std::path::{Path, PathBuf};

use super::scenario::Scenario;
use crate::options::Shared;
use crate::peer::{BASELINE, INGRESS, SIDECAR};

/// What is measured unless `--proxies` says otherwise, in the order of the tables.
pub(super) const DEFAULT: [&str; 5] = [SIDECAR, INGRESS, BASELINE, "nginx", "envoy"];

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
    /// The ingress to measure; built by default.
    #[arg(long, value_name = "FILE", env = "REMORA_INGRESS", hide_env = true)]
    pub(crate) ingress: Option<PathBuf>,
}

impl Args {
    /// Our own program of a name and the flag that names it; none if the name is another's.
    pub(super) fn own(&self, name: &str) -> Option<(&'static str, Option<&Path>)> {
        match name {
            SIDECAR => Some(("--sidecar", self.sidecar.as_deref())),
            INGRESS => Some(("--ingress", self.ingress.as_deref())),
            _ => None,
        }
    }

    /// Whether a scenario is to be run.
    pub(super) fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }
}
