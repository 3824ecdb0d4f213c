//! One proxy met by one fault: both are started anew, so that no measurement remembers another.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::peers::Ports;
use crate::load::gray::Fault;
use crate::peer::Peer;
use crate::run::launch::launch;
use crate::run::{child::Cpus, probe, tool::Tool};

/// Seconds before the fault begins, and after that before requests are judged.
pub(super) const SETTLE: f64 = 2.0;
/// How long health checks have after the first 200.
const CHECKS: Duration = Duration::from_millis(1200);

/// What all cells share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) ports: Ports,
    pub(super) cpus: Cpus,
    pub(super) rate: f64,
    pub(super) seconds: f64,
    pub(super) deep: bool,
    pub(super) explain: Option<f64>,
}

/// What became of the requests of a span of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) requests: f64,
    pub(super) failed: f64,
    /// Milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Requests that arrived at the endpoints, the failing one last.
    pub(super) arrived: [f64; 3],
}

/// A cell that was measured.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// The first seconds of the fault.
    pub(super) onset: Window,
    /// The rest of them.
    pub(super) judged: Window,
    /// All that the load told, and the ambassador's metrics.
    pub(super) told: Value,
}

impl Settings {
    /// Measures a cell; what the load and the ambassador say of it goes to files in `dir`.
    pub(super) fn measure(&self, peer: &Peer, fault: Fault, dir: &Path) -> Result<Cell> {
        let ports = self.ports;
        let endpoints = ports.endpoints.map(|port| port.to_string()).join(",");
        let mut words = vec![
            "gray".to_owned(),
            format!("--port={}", ports.http),
            format!("--endpoints={endpoints}"),
            format!("--fault={}", fault.name()),
            format!("--rate={}", self.rate),
            format!("--seconds={}", self.seconds),
            format!("--settle={SETTLE}"),
        ];
        words.extend(self.deep.then(|| "--deep".to_owned()));
        words.extend(self.explain.map(|above| format!("--explain={above}")));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (mut load, _) = Tool::start(&words)?;
        let file = dir.join(format!("gray-{}-{}", peer.name, fault.name()));
        let (mut proxy, _) = launch(peer, ports.http, self.cpus, &file.with_extension("log"))?;
        sleep(CHECKS);
        let told = load.ask("")?;
        if proxy.ended()?.is_some() {
            anyhow::bail!("the proxy ended: {}", proxy.last_words());
        }
        if let Ok(metrics) = probe::body(ports.admin, "/metrics") {
            fs::write(file.with_extension("metrics"), metrics)?;
        }
        let text = serde_json::to_string_pretty(&told)?;
        fs::write(file.with_extension("json"), text + "\n")?;
        Ok(Cell {
            onset: window(&told, "onset")?,
            judged: window(&told, "judged")?,
            told,
        })
    }
}

fn window(told: &Value, name: &str) -> Result<Window> {
    let window = &told[name];
    let figure = |value: &Value| {
        value
            .as_f64()
            .with_context(|| format!("{name} is incomplete"))
    };
    let mut arrived = [0.0; 3];
    for (index, count) in arrived.iter_mut().enumerate() {
        *count = figure(&window["arrived"][index])?;
    }
    Ok(Window {
        requests: figure(&window["requests"])?,
        failed: figure(&window["failed"])?,
        p50: figure(&window["p50"])?,
        p99: figure(&window["p99"])?,
        arrived,
    })
}
