//! What is measured: each scenario drives a running proxy one way and yields a few figures.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::child::{Cpus, Running};
use super::launch::launch;
use super::{procfs, tool};
use crate::metric::Metric;
use crate::peer::{Peer, Ports};

/// A way of driving a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// HTTP/1.1, answers of 1 KiB, 64 connections, closed loop.
    H1,
    /// HTTP/1.1, answers of 1 MiB, 16 connections, closed loop.
    Body,
    /// HTTP/1.1, uploads of 1 MiB, 16 connections, closed loop.
    Upload,
    /// HTTP/1.1, answers of 1 KiB at a fixed rate: latency and cost at low load.
    Rate,
    /// Cleartext HTTP/2 to the proxy, answers of 1 KiB, 8 connections with 16 streams each.
    H2c,
    /// Memory at start and a connection with many idle connections.
    Memory,
    /// Time from start to the first 200.
    Start,
    /// Size of the program's file.
    Size,
}

impl Scenario {
    /// Whether the scenario drives one running proxy with load, after the others of its kind.
    pub(crate) fn is_live(self) -> bool {
        matches!(
            self,
            Self::H1 | Self::Body | Self::Upload | Self::Rate | Self::H2c
        )
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The settings that scenarios share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) ports: Ports,
    pub(crate) cpus: Cpus,
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    pub(crate) idle: usize,
    pub(crate) starts: usize,
}

/// The figures of one scenario with one proxy.
pub(crate) type Figures = Vec<(Metric, f64)>;

/// Latency without a proxy, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direct {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Settings {
    /// Measures the origin's own latency at the fixed rate.
    pub(crate) fn direct(&self) -> Result<Direct> {
        let report = self.rated(self.ports.origin)?;
        Ok(Direct {
            p50: figure(&report, "p50")?,
            p99: figure(&report, "p99")?,
        })
    }

    /// Drives a running proxy with a live scenario.
    pub(crate) fn live(
        &self,
        scenario: Scenario,
        peer: &Peer,
        proxy: &Running,
        direct: Option<Direct>,
    ) -> Result<Figures> {
        let http = self.ports.http;
        match scenario {
            Scenario::H1 => {
                let report = self.costed(proxy, |seconds| closed(http, "/1k", 64, 0, seconds))?;
                Ok(vec![
                    (Metric::H1Cpu, report.cpu),
                    (Metric::H1Rate, report.rate),
                ])
            }
            Scenario::Body => {
                let report = self.costed(proxy, |seconds| closed(http, "/1m", 16, 0, seconds))?;
                Ok(vec![
                    (Metric::BodyCpu, report.cpu),
                    (Metric::BodyRate, report.rate),
                ])
            }
            Scenario::Upload => {
                let report = self.costed(proxy, |seconds| {
                    closed(http, "/sink", 16, 1024 * 1024, seconds)
                })?;
                Ok(vec![
                    (Metric::UploadCpu, report.cpu),
                    (Metric::UploadRate, report.rate),
                ])
            }
            Scenario::H2c => {
                let report = self.costed(proxy, |seconds| h2c(peer.h2c, seconds))?;
                Ok(vec![
                    (Metric::H2cCpu, report.cpu),
                    (Metric::H2cRate, report.rate),
                ])
            }
            Scenario::Rate => self.latency(
                proxy,
                direct.context("the latency without a proxy is unknown")?,
            ),
            other => bail!("{} is not driven by load", other.name()),
        }
    }

    /// Time from start to the first 200, several times over.
    pub(crate) fn start(&self, peer: &Peer, log: &Path) -> Result<Figures> {
        (0..self.starts)
            .map(|_| Ok((Metric::Start, self.launch(peer, log)?.1.as_secs_f64() * 1e3)))
            .collect()
    }

    /// Memory of a fresh proxy, and what each idle connection adds.
    pub(crate) fn memory(&self, peer: &Peer, log: &Path) -> Result<Figures> {
        let (mut proxy, _) = self.launch(peer, log)?;
        sleep(Duration::from_millis(300));
        let fresh = procfs::memory(proxy.id());
        let (port, count) = (self.ports.http.to_string(), self.idle.to_string());
        let (holder, _) = tool::Tool::start(&["idle", "--port", &port, "--connections", &count])?;
        sleep(Duration::from_secs(1));
        let loaded = procfs::memory(proxy.id());
        let closed = holder
            .finish()?
            .get("closed")
            .and_then(Value::as_u64)
            .context("no report of the idle connections")?;
        if proxy.ended()?.is_some() {
            bail!("the proxy ended: {}", proxy.last_words());
        }
        if closed > 0 {
            bail!("{closed} of {} idle connections were closed", self.idle);
        }
        let each = (loaded as f64 - fresh as f64) / self.idle as f64;
        Ok(vec![
            (Metric::Memory, fresh as f64 / (1024.0 * 1024.0)),
            (Metric::Idle, each),
        ])
    }

    /// Size of the program's file.
    pub(crate) fn size(&self, peer: &Peer) -> Result<Figures> {
        Ok(vec![(
            Metric::Size,
            fs::metadata(&peer.binary)?.len() as f64 / (1024.0 * 1024.0),
        )])
    }

    /// Starts a proxy and waits for its first 200.
    pub(crate) fn launch(&self, peer: &Peer, log: &Path) -> Result<(Running, Duration)> {
        launch(peer, self.ports.http, self.cpus, log)
    }

    /// Runs a closed loop, first to warm up, then with the proxy's CPU time taken.
    fn costed(&self, proxy: &Running, load: impl Fn(f64) -> Result<Value>) -> Result<Cost> {
        load(self.seconds.min(1.0))?;
        let before = procfs::cpu(proxy.id());
        let report = load(self.seconds)?;
        let spent = procfs::cpu(proxy.id()).saturating_sub(before);
        let requests = figure(&report, "requests")?;
        Ok(Cost {
            cpu: spent.as_secs_f64() * 1e6 / requests,
            rate: requests / figure(&report, "seconds")?,
        })
    }

    fn latency(&self, proxy: &Running, direct: Direct) -> Result<Figures> {
        let before = procfs::cpu(proxy.id());
        let report = self.rated(self.ports.http)?;
        let spent = procfs::cpu(proxy.id()).saturating_sub(before);
        Ok(vec![
            (Metric::RateP50, figure(&report, "p50")? - direct.p50),
            (Metric::RateP99, figure(&report, "p99")? - direct.p99),
            (
                Metric::RateCpu,
                spent.as_secs_f64() * 1e6 / figure(&report, "requests")?,
            ),
        ])
    }

    fn rated(&self, port: u16) -> Result<Value> {
        let (port, rate, seconds) = (
            port.to_string(),
            self.rate.to_string(),
            self.seconds.to_string(),
        );
        checked(&[
            "open",
            "--port",
            &port,
            "--rate",
            &rate,
            "--seconds",
            &seconds,
        ])
    }
}

/// What a closed loop cost: CPU microseconds a request, and requests a second.
struct Cost {
    cpu: f64,
    rate: f64,
}

fn closed(port: u16, path: &str, connections: usize, upload: usize, seconds: f64) -> Result<Value> {
    let (port, connections, upload) = (
        port.to_string(),
        connections.to_string(),
        upload.to_string(),
    );
    let seconds = seconds.to_string();
    checked(&[
        "closed",
        "--port",
        &port,
        "--path",
        path,
        "--connections",
        &connections,
        "--upload",
        &upload,
        "--seconds",
        &seconds,
    ])
}

fn h2c(port: u16, seconds: f64) -> Result<Value> {
    checked(&[
        "h2c",
        "--port",
        &port.to_string(),
        "--seconds",
        &seconds.to_string(),
    ])
}

/// Runs a generator; a report with any error in it is itself an error.
fn checked(words: &[&str]) -> Result<Value> {
    let report = tool::run(words)?;
    let errors = report.get("errors").and_then(Value::as_u64).unwrap_or(0);
    match report.get("first_error").and_then(Value::as_str) {
        Some(why) => bail!("{} errors, first: {why}", errors.max(1)),
        None if errors > 0 => bail!("{errors} requests failed"),
        None => Ok(report),
    }
}

fn figure(report: &Value, name: &str) -> Result<f64> {
    let value = report
        .get(name)
        .and_then(Value::as_f64)
        .with_context(|| format!("the report has no {name}"))?;
    if value > 0.0 {
        Ok(value)
    } else {
        bail!("{name} is {value}")
    }
}
