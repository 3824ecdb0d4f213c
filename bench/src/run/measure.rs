//! Measures every proxy with every scenario, as often as asked.

use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;

use super::Outcome;
use super::conditions::Conditions;
use super::ledger::Ledger;
use super::outcome::Figures;
use super::prepare::{free_ports, prepare, start_origin};
use super::scenario::{Direct, Scenario, Settings};
use crate::options::Options;
use crate::peer::{Peer, Ports};

/// Prepares the proxies, measures them as often as asked and returns every figure.
pub(crate) fn all(options: &Options) -> Result<Outcome> {
    let started = Instant::now();
    let base = free_ports(3)?;
    let ports = Ports {
        http: base,
        h2c: base + 1,
        origin: base + 2,
    };
    let dir = options.shared.folder()?;
    let settings = Settings {
        ports,
        cpus: options.shared.cpus(),
        seconds: options.seconds(),
        rate: options.rate,
        idle: options.idle,
        starts: options.starts(),
    };
    let mut notes = Vec::new();
    let peers = prepare(options, &settings, &dir, &mut notes)?;
    let conditions = Conditions::begin(settings.cpus, &mut notes)?;
    let origin = start_origin(ports.origin)?;
    let reps = options.shared.reps();
    let mut run = Run {
        options,
        settings,
        direct: None,
        ledger: Ledger::new(dir, reps),
    };
    for rep in 0..reps {
        run.repeat(rep, &peers);
    }
    drop(origin);
    conditions.end(&mut notes);
    Ok(Outcome {
        peers,
        samples: run.ledger.samples,
        invalid: run.ledger.invalid,
        notes,
        took: started.elapsed(),
    })
}

struct Run<'a> {
    options: &'a Options,
    settings: Settings,
    direct: Option<Direct>,
    ledger: Ledger,
}

impl Run<'_> {
    /// One repetition over all proxies, starting with another one each time.
    fn repeat(&mut self, rep: usize, peers: &[Peer]) {
        if self.options.wants(Scenario::Rate) {
            let name = Scenario::Rate.name();
            match self.settings.direct() {
                Ok(direct) => {
                    let text = format!("p50 {:.0} us, p99 {:.0} us", direct.p50, direct.p99);
                    self.ledger.tell(rep, "direct", &name, &text);
                    self.direct = Some(direct);
                }
                Err(error) => self.ledger.refuse(rep, "direct", &name, &error),
            }
        }
        for offset in 0..peers.len() {
            let peer = &peers[(rep + offset) % peers.len()];
            self.drive(rep, peer);
            let log = self.ledger.log(&peer.name);
            self.book(rep, peer, Scenario::Memory, |settings| {
                settings.memory(peer, &log)
            });
            self.book(rep, peer, Scenario::Start, |settings| {
                settings.start(peer, &log)
            });
            self.book(rep, peer, Scenario::Size, |settings| settings.size(peer));
        }
    }

    /// Starts a proxy once and drives it with each live scenario.
    fn drive(&mut self, rep: usize, peer: &Peer) {
        let live = Scenario::value_variants()
            .iter()
            .copied()
            .filter(|scenario| scenario.is_live());
        let live: Vec<Scenario> = live
            .filter(|scenario| self.options.wants(*scenario))
            .collect();
        let Some(first) = live.first().copied() else {
            return;
        };
        let proxy = match self.settings.launch(peer, &self.ledger.log(&peer.name)) {
            Ok((proxy, _)) => proxy,
            Err(error) => {
                return self.ledger.refuse(rep, &peer.name, &first.name(), &error);
            }
        };
        for scenario in live {
            let direct = self.direct;
            self.book(rep, peer, scenario, |settings| {
                settings.live(scenario, peer, &proxy, direct)
            });
        }
        if let Err(error) = proxy.end() {
            self.ledger.refuse(rep, &peer.name, "end", &error);
        }
    }

    /// Takes one measurement if it is wanted, shows it and keeps it.
    fn book(
        &mut self,
        rep: usize,
        peer: &Peer,
        scenario: Scenario,
        measure: impl FnOnce(&Settings) -> Result<Figures>,
    ) {
        if self.options.wants(scenario) {
            let measured = measure(&self.settings);
            self.ledger
                .book(rep, &peer.name, &scenario.name(), measured);
        }
    }
}
