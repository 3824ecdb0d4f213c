//! What is measured inside TLS: each scenario drives a running proxy one way and yields a few figures.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::certificate::Files;
use super::peers::Ports;
use crate::metric::Metric;
use crate::peer::Peer;
use crate::run::Figures;
use crate::run::child::{Cpus, Running};
use crate::run::cost::{Cost, costed, generator, idle};
use crate::run::launch::launch;

/// Connections that are being made at the same time in the scenarios of handshakes.
const HANDSHAKES: u64 = 32;

/// A way of driving a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// HTTP/1.1, answers of 1 KiB, 64 connections, closed loop.
    TlsH1,
    /// Full handshakes, one request each.
    TlsHandshake,
    /// Handshakes that resume a session by its ticket, one request each.
    TlsResume,
    /// Full handshakes with the key exchange that rustls and the proxy prefer.
    TlsDefault,
    /// HTTP/1.1, answers of 1 MiB, 16 connections, closed loop.
    TlsBody,
    /// HTTP/2, answers of 1 KiB, 8 connections with 16 streams each.
    TlsH2,
    /// Memory at start, and a connection with many idle connections, in cleartext and inside TLS.
    Memory,
}

impl Scenario {
    /// The name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The figures of its cost; none where it is not driven by load.
    pub(super) fn metrics(self) -> Option<(Metric, Metric)> {
        Some(match self {
            Self::TlsH1 => (Metric::TlsH1Cpu, Metric::TlsH1Rate),
            Self::TlsHandshake => (Metric::HandshakeCpu, Metric::HandshakeRate),
            Self::TlsResume => (Metric::ResumeCpu, Metric::ResumeRate),
            Self::TlsDefault => (Metric::DefaultCpu, Metric::DefaultRate),
            Self::TlsBody => (Metric::TlsBodyCpu, Metric::TlsBodyRate),
            Self::TlsH2 => (Metric::TlsH2Cpu, Metric::TlsH2Rate),
            Self::Memory => return None,
        })
    }
}

/// The settings that scenarios share.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ports: Ports,
    pub(super) cpus: Cpus,
    pub(super) files: Files,
    pub(super) seconds: f64,
    pub(super) idle: usize,
}

impl Settings {
    /// Starts a proxy and waits for its first 200.
    pub(super) fn launch(&self, peer: &Peer, log: &Path) -> Result<Running> {
        Ok(launch(peer, self.ports.plain, self.cpus, log)?.0)
    }

    /// Drives a running proxy with a scenario.
    pub(super) fn live(&self, scenario: Scenario, proxy: &Running) -> Result<Cost> {
        let connections = HANDSHAKES.to_string();
        let handshakes = ("connections", connections.as_str());
        let mut words = match scenario {
            Scenario::TlsH1 => self.generator("closed", &[("path", "/1k"), ("connections", "64")]),
            Scenario::TlsBody => {
                self.generator("closed", &[("path", "/1m"), ("connections", "16")])
            }
            Scenario::TlsH2 => self.generator("h2c", &[]),
            Scenario::TlsHandshake | Scenario::TlsResume | Scenario::TlsDefault => {
                self.generator("handshake", &[handshakes])
            }
            Scenario::Memory => bail!("memory is not driven by load"),
        };
        words.extend((scenario == Scenario::TlsResume).then(|| "--resume".to_owned()));
        words.extend((scenario == Scenario::TlsDefault).then(|| "--any-group".to_owned()));
        let cost = costed(proxy, self.seconds, &words)?;
        match scenario {
            Scenario::TlsHandshake | Scenario::TlsDefault => kinds(&cost.report, false)?,
            Scenario::TlsResume => kinds(&cost.report, true)?,
            _ => {}
        }
        Ok(cost)
    }

    /// Memory of a fresh proxy, and what each idle connection adds in cleartext and inside TLS.
    pub(super) fn memory(&self, peer: &Peer, log: &Path) -> Result<Figures> {
        let count = self.idle.to_string();
        let connections = ("connections", count.as_str());
        let plain = generator("idle", self.ports.plain, &[connections]);
        let (fresh, plain) = idle(self.launch(peer, log)?, self.idle, &plain)?;
        let secure = self.generator("idle", &[connections]);
        let (_, secure) = idle(self.launch(peer, log)?, self.idle, &secure)?;
        Ok(vec![
            (Metric::Memory, fresh / (1024.0 * 1024.0)),
            (Metric::Idle, plain),
            (Metric::TlsIdle, secure),
        ])
    }

    /// A generator that speaks TLS.
    fn generator(&self, name: &str, flags: &[(&str, &str)]) -> Vec<String> {
        let mut flags = flags.to_vec();
        flags.push(("tls", &self.files.certificate));
        generator(name, self.ports.secure, &flags)
    }
}

/// Holds that all handshakes were of the kind that is measured.
fn kinds(report: &Value, resumed: bool) -> Result<()> {
    let count = |name: &str| {
        let count = report.get(name).and_then(Value::as_u64);
        count.with_context(|| format!("the report has no {name}"))
    };
    let (all, full) = (count("requests")?, count("full")?);
    match resumed {
        true if full > 0 => bail!("{full} of {all} handshakes resumed no session"),
        false if full < all => bail!("{} of {all} handshakes resumed a session", all - full),
        _ => Ok(()),
    }
}
