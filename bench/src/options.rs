//! The command line of the bench.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::gray;
use crate::load;
use crate::peer;
use crate::run::child::Cpus;
use crate::run::scenario::Scenario;
use crate::tls;

/// Measures the ambassador, HAProxy, nginx and Envoy side by side.
///
/// The proxy has one worker on one CPU; the load and the origin share another. Figures are medians
/// over the repetitions, with their ratio to HAProxy's.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// Scenarios to run; all by default.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Scenario>,
    /// Proxies to measure.
    #[arg(long, value_delimiter = ',', default_values = peer::DEFAULT)]
    pub(crate) proxies: Vec<String>,
    /// A further proxy, as NAME=COMMAND with {listen} and {origin} where the addresses belong.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    pub(crate) peers: Vec<String>,
    /// Seconds a measurement takes [default: 3].
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Requests a second in the scenario `rate`.
    #[arg(long, default_value_t = 2000.0)]
    pub(crate) rate: f64,
    /// Connections in the scenario `memory`.
    #[arg(long, default_value_t = 5000)]
    pub(crate) idle: usize,
    /// The ambassador to measure; built by default.
    #[arg(long, env = "REMORA_AMBASSADOR", hide_env = true)]
    pub(crate) binary: Option<PathBuf>,
}

/// What every kind of run is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Shared {
    /// One short repetition of everything: to see that it works, not to quote.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often everything is repeated [default: 3].
    #[arg(long)]
    pub(crate) reps: Option<usize>,
    /// CPU of the proxy.
    #[arg(long, default_value_t = 0)]
    pub(crate) proxy_cpu: usize,
    /// CPU of the load and the origin.
    #[arg(long, default_value_t = 1)]
    pub(crate) load_cpu: usize,
    /// Where the results go as JSON, with a chart beside them; in target/bench by default.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Also update bench/RESULTS.md and bench/results.
    #[arg(long)]
    pub(crate) write: bool,
    /// Folder for configurations, logs and downloads.
    #[arg(
        long,
        env = "REMORA_BENCH_DIR",
        hide_env = true,
        default_value = "target/bench",
        hide = true
    )]
    pub(crate) dir: PathBuf,
}

/// Everything but running the scenarios on one origin.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One part of the load side, for the runner's own use.
    #[command(hide = true)]
    Load {
        #[command(subcommand)]
        part: Load,
    },
    /// Measures what a caller notices of one endpoint of three that flaps, is slow, fails or hangs.
    Gray(gray::Args),
    /// Measures the sidecar and the ingress beside the others inside TLS: handshakes, requests, bodies, memory.
    Tls(tls::Args),
}

/// The parts of the load side.
#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// The origin that proxies forward to.
    Origin(load::origin::Args),
    /// The closed loop.
    Closed(load::closed::Args),
    /// The open loop.
    Open(load::open::Args),
    /// The holder of idle connections.
    Idle(load::idle::Args),
    /// The closed loop over HTTP/2.
    H2c(load::h2c::Args),
    /// The loop of handshakes.
    Handshake(load::handshake::Args),
    /// Endpoints of which one fails, and requests at fixed times.
    Gray(load::gray::Args),
}

impl Options {
    /// How long a measurement takes.
    pub(crate) fn seconds(&self) -> f64 {
        self.shared.seconds(self.seconds)
    }

    /// How often a proxy is started in each repetition of the scenario `start`.
    pub(crate) fn starts(&self) -> usize {
        if self.shared.quick { 3 } else { 10 }
    }

    /// Whether a scenario is to be run.
    pub(crate) fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }
}

impl Shared {
    /// How often everything is repeated.
    pub(crate) fn reps(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// How long a measurement takes that `told` says nothing of.
    pub(crate) fn seconds(&self, told: Option<f64>) -> f64 {
        told.unwrap_or(if self.quick { 1.0 } else { 3.0 }).max(0.1)
    }

    /// The CPUs of both sides.
    pub(crate) fn cpus(&self) -> Cpus {
        Cpus {
            proxy: self.proxy_cpu,
            load: self.load_cpu,
        }
    }

    /// The folder for configurations, logs and downloads, which exists afterwards.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        let dir = std::path::absolute(&self.dir)?;
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir)
    }

    /// The command as a reader may repeat it: no paths, because theirs differ.
    pub(crate) fn shown() -> String {
        let words = std::env::args()
            .skip(1)
            .map(|word| match word.rsplit_once('/') {
                Some((path, name)) => {
                    let kept = path.split_inclusive('=').filter(|part| part.ends_with('='));
                    format!("{}.../{name}", kept.collect::<String>())
                }
                None => word,
            });
        std::iter::once("cargo xtask bench".to_owned())
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }
}
