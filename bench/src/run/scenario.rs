//! What is measured: each scenario drives a running proxy one way and yields a few figures.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::child::{Cpus, Running};
use super::cost::{checked, costed, figure, generator, idle};
use super::launch::launch;
use super::outcome::Figures;
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
        let closed = |path: &str, connections: &str, upload: &str| {
            let flags = [
                ("path", path),
                ("connections", connections),
                ("upload", upload),
            ];
            generator("closed", http, &flags)
        };
        let (words, cpu, rate) = match scenario {
            Scenario::H1 => (closed("/1k", "64", "0"), Metric::H1Cpu, Metric::H1Rate),
            Scenario::Body => (closed("/1m", "16", "0"), Metric::BodyCpu, Metric::BodyRate),
            Scenario::Upload => (
                closed("/sink", "16", "1048576"),
                Metric::UploadCpu,
                Metric::UploadRate,
            ),
            Scenario::H2c => (
                generator("h2c", peer.h2c.unwrap_or(http), &[]),
                Metric::H2cCpu,
                Metric::H2cRate,
            ),
            Scenario::Rate => {
                let direct = direct.context("the latency without a proxy is unknown")?;
                return self.latency(proxy, direct);
            }
            other => bail!("{} is not driven by load", other.name()),
        };
        let cost = costed(proxy, self.seconds, &words)?;
        Ok(vec![(cpu, cost.cpu), (rate, cost.rate)])
    }

    /// Time from start to the first 200, several times over.
    pub(crate) fn start(&self, peer: &Peer, log: &Path) -> Result<Figures> {
        (0..self.starts)
            .map(|_| Ok((Metric::Start, self.launch(peer, log)?.1.as_secs_f64() * 1e3)))
            .collect()
    }

    /// Memory of a fresh proxy, and what each idle connection adds.
    pub(crate) fn memory(&self, peer: &Peer, log: &Path) -> Result<Figures> {
        let (proxy, _) = self.launch(peer, log)?;
        let count = self.idle.to_string();
        let words = generator("idle", self.ports.http, &[("connections", &count)]);
        let (fresh, each) = idle(proxy, self.idle, &words)?;
        Ok(vec![
            (Metric::Memory, fresh / (1024.0 * 1024.0)),
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
        let (rate, seconds) = (self.rate.to_string(), self.seconds.to_string());
        let words = generator("open", port, &[("rate", &rate), ("seconds", &seconds)]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        checked(tool::run(&words)?)
    }
}
