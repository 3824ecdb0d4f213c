//! Measures every proxy with every scenario, as often as asked.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::child::{self, Cpus};
use super::prepare::{free_ports, prepare, raise_file_limit, start_origin};
use super::procfs;
use super::scenario::{Direct, Figures, Scenario, Settings};
use super::{Invalid, Outcome, Sample};
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
    let cpus = Cpus {
        proxy: options.proxy_cpu,
        load: options.load_cpu,
    };
    let dir = std::path::absolute(&options.dir)?;
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let settings = Settings {
        ports,
        cpus,
        seconds: options.seconds(),
        rate: options.rate,
        idle: options.idle,
        starts: options.starts(),
    };
    raise_file_limit()?;
    let mut notes = Vec::new();
    let peers = prepare(options, &settings, &dir, &mut notes)?;
    if cpus.proxy == cpus.load {
        notes.push("Proxy and load share one CPU: throughput and latency mean little.".to_owned());
    }
    notes.push(child::condition());
    cpus.settle()?;
    notes.iter().for_each(|note| eprintln!("{note}"));
    let origin = start_origin(ports)?;
    let (stolen, total) = procfs::stolen();
    let mut run = Run {
        options,
        settings,
        dir,
        direct: None,
        samples: Vec::new(),
        invalid: Vec::new(),
    };
    for rep in 0..options.reps() {
        run.repeat(rep, &peers);
    }
    drop(origin);
    let (stolen_then, total_then) = procfs::stolen();
    let share = 100.0 * (stolen_then - stolen) as f64 / (total_then - total).max(1) as f64;
    notes.push(format!(
        "The machine's host took {share:.1} % of its CPU time meanwhile (steal)."
    ));
    Ok(Outcome {
        peers,
        samples: run.samples,
        invalid: run.invalid,
        notes,
        took: started.elapsed(),
    })
}

struct Run<'a> {
    options: &'a Options,
    settings: Settings,
    dir: PathBuf,
    direct: Option<Direct>,
    samples: Vec<Sample>,
    invalid: Vec<Invalid>,
}

impl Run<'_> {
    /// One repetition over all proxies, starting with another one each time.
    fn repeat(&mut self, rep: usize, peers: &[Peer]) {
        if self.options.wants(Scenario::Rate) {
            match self.settings.direct() {
                Ok(direct) => {
                    eprintln!(
                        "{} direct       rate    p50 {:.0} us, p99 {:.0} us",
                        self.place(rep),
                        direct.p50,
                        direct.p99
                    );
                    self.direct = Some(direct);
                }
                Err(error) => self.refuse(rep, "direct", Scenario::Rate, &error),
            }
        }
        for offset in 0..peers.len() {
            let peer = &peers[(rep + offset) % peers.len()];
            self.drive(rep, peer);
            let log = self.log(peer);
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
        let proxy = match self.settings.launch(peer, &self.log(peer)) {
            Ok((proxy, _)) => proxy,
            Err(error) => return self.refuse(rep, &peer.name, first, &error),
        };
        for scenario in live {
            let direct = self.direct;
            self.book(rep, peer, scenario, |settings| {
                settings.live(scenario, peer, &proxy, direct)
            });
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
        if !self.options.wants(scenario) {
            return;
        }
        let figures = match measure(&self.settings) {
            Ok(figures) => figures,
            Err(error) => return self.refuse(rep, &peer.name, scenario, &error),
        };
        let texts: Vec<String> = figures
            .iter()
            .map(|(metric, value)| metric.text(*value))
            .collect();
        eprintln!(
            "{} {:<12} {:<7} {}",
            self.place(rep),
            peer.name,
            scenario.name(),
            texts.join("  ")
        );
        let samples = figures.into_iter().map(|(metric, value)| Sample {
            rep,
            proxy: peer.name.clone(),
            metric,
            value,
        });
        self.samples.extend(samples);
    }

    fn refuse(&mut self, rep: usize, proxy: &str, scenario: Scenario, error: &anyhow::Error) {
        let scenario = scenario.name();
        // What a proxy says of its own files is for readers who keep theirs elsewhere.
        let why = format!("{error:#}").replace(&self.dir.display().to_string(), "...");
        eprintln!(
            "{} {proxy:<12} {scenario:<7} INVALID: {why}",
            self.place(rep)
        );
        self.invalid.push(Invalid {
            rep: rep + 1,
            proxy: proxy.to_owned(),
            scenario,
            why,
        });
    }

    fn place(&self, rep: usize) -> String {
        format!("[{}/{}]", rep + 1, self.options.reps())
    }

    fn log(&self, peer: &Peer) -> PathBuf {
        self.dir.join(format!("{}.log", peer.name))
    }
}
