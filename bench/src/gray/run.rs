//! Measures every proxy with every fault: repetitions outermost, then faults, then proxies.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use super::cell::{Cell, Settings};
use super::options::Args;
use super::peers::{Ports, Prepare};
use crate::load::gray::Fault;
use crate::peer::{Peer, programs};
use crate::run::conditions::Conditions;
use crate::run::prepare::free_ports;

/// What a run yields.
pub(crate) struct Outcome {
    pub(super) peers: Vec<Peer>,
    pub(super) faults: Vec<Fault>,
    pub(super) measured: Vec<Measured>,
    /// Cells that could not be measured, and why.
    pub(super) invalid: Vec<String>,
    /// The conditions of the run, one sentence each.
    pub(super) notes: Vec<String>,
}

/// A cell of one repetition.
pub(super) struct Measured {
    pub(super) rep: usize,
    pub(super) fault: Fault,
    pub(super) proxy: String,
    pub(super) cell: Cell,
}

impl Outcome {
    /// Whether every cell could be measured.
    pub(crate) fn is_whole(&self) -> bool {
        self.invalid.is_empty()
    }
}

/// Prepares the proxies and measures them as often as asked.
pub(crate) fn all(args: &Args) -> Result<Outcome> {
    let dir = args.shared.folder()?;
    let base = free_ports(5)?;
    let settings = Settings {
        ports: Ports {
            http: base,
            admin: base + 1,
            endpoints: [base + 2, base + 3, base + 4],
        },
        cpus: args.shared.cpus(),
        rate: args.rate,
        seconds: args.seconds(),
        deep: args.deep,
        explain: args.explain,
    };
    let mut outcome = Outcome {
        peers: Vec::new(),
        faults: args.faults(),
        measured: Vec::new(),
        invalid: Vec::new(),
        notes: Vec::new(),
    };
    prepare(args, settings.ports, &dir, &mut outcome)?;
    let conditions = Conditions::begin(settings.cpus, &mut outcome.notes)?;
    for rep in 0..args.shared.reps() {
        repeat(rep, &settings, &dir, &mut outcome);
    }
    conditions.end(&mut outcome.notes);
    Ok(outcome)
}

/// Prepares every proxy that is asked for. One that cannot be had is left out, with a note that says why.
fn prepare(args: &Args, ports: Ports, dir: &Path, outcome: &mut Outcome) -> Result<()> {
    let prepare = Prepare {
        ports,
        dir,
        binary: args.binary.as_deref(),
        configs: &args.configs,
    };
    let notes = &mut outcome.notes;
    outcome.peers = programs::gather(&args.proxies, notes, |name| prepare.peer(name));
    if outcome.peers.is_empty() {
        bail!("there is no proxy to measure: {}", outcome.notes.join(" "));
    }
    Ok(())
}

/// One repetition: all faults, each with all proxies in turn, starting with another one each time.
fn repeat(rep: usize, settings: &Settings, dir: &Path, outcome: &mut Outcome) {
    let peers = outcome.peers.clone();
    for fault in outcome.faults.clone() {
        for offset in 0..peers.len() {
            let peer = &peers[(rep + offset) % peers.len()];
            let begun = Instant::now();
            let place = format!("[{}] {:<9} {:<12}", rep + 1, fault.name(), peer.name);
            match settings.measure(peer, fault, dir) {
                Ok(cell) => {
                    eprintln!(
                        "{place} failed {} of {}, p50 {:.1} ms, p99 {:.1} ms, arrived {:?}, {:.0} s",
                        cell.judged.failed,
                        cell.judged.requests,
                        cell.judged.p50,
                        cell.judged.p99,
                        cell.judged.arrived,
                        begun.elapsed().as_secs_f64()
                    );
                    outcome.measured.push(Measured {
                        rep,
                        fault,
                        proxy: peer.name.clone(),
                        cell,
                    });
                }
                Err(error) => {
                    // What a proxy says of its own files is for readers who keep theirs elsewhere.
                    let why = format!("{error:#}").replace(&dir.display().to_string(), "...");
                    eprintln!("{place} INVALID: {why}");
                    outcome.invalid.push(format!(
                        "{} with {}, repetition {}: {why}",
                        fault.name(),
                        peer.name,
                        rep + 1
                    ));
                }
            }
        }
    }
}
