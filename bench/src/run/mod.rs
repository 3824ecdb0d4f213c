//! Runs the measurements: repetition outermost, then proxy, then scenario, so that drift of the machine hits all alike.

mod child;
mod probe;
mod procfs;
pub(crate) mod scenario;
mod tool;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::metric::Metric;
use crate::options::Options;
use crate::peer::{AMBASSADOR, Peer, Ports, Prepare};
use child::Cpus;
use scenario::{Direct, Figures, Scenario, Settings};

/// One figure of one repetition.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) rep: usize,
    pub(crate) proxy: String,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

/// A measurement that does not count, and why.
#[derive(Clone, Debug)]
pub(crate) struct Invalid {
    pub(crate) rep: usize,
    pub(crate) proxy: String,
    pub(crate) scenario: String,
    pub(crate) why: String,
}

/// All that a run yields.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) peers: Vec<Peer>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) invalid: Vec<Invalid>,
    /// The conditions of the run, one sentence each.
    pub(crate) notes: Vec<String>,
    pub(crate) took: Duration,
}

/// Prepares the proxies, measures them as often as asked and returns every figure.
pub(crate) fn all(options: &Options) -> Result<Outcome> {
    let started = Instant::now();
    let ports = free_ports()?;
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
    notes.push(match child::real_time() {
        Ok(()) => "Proxy, load and origin ran under SCHED_RR.".to_owned(),
        Err(why) => format!("SCHED_RR is not permitted here ({why}): other work on the machine shows in the figures."),
    });
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

/// Prepares every proxy that is asked for. One that cannot be had is left out, with a note that says why.
fn prepare(
    options: &Options,
    settings: &Settings,
    dir: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<Peer>> {
    let mut prepare = Prepare {
        ports: settings.ports,
        dir,
        forwarded: true,
    };
    let mut found = Vec::new();
    if options.proxies.iter().any(|name| name == AMBASSADOR) {
        let binary = options
            .binary
            .as_deref()
            .context("no ambassador to measure: pass --binary or use `cargo xtask bench`")?;
        let ambassador = prepare.ambassador(binary)?;
        prepare.forwarded = forwards(&ambassador, settings, dir)?;
        found.push(ambassador);
    }
    let does = if prepare.forwarded {
        "add"
    } else {
        "do not add"
    };
    notes.push(format!("All proxies {does} X-Forwarded-For."));
    for name in options.proxies.iter().filter(|name| *name != AMBASSADOR) {
        match prepare.peer(name) {
            Ok(peer) => found.push(peer),
            Err(error) => notes.push(format!("{name} is left out: {error:#}.")),
        }
    }
    for text in &options.peers {
        found.push(prepare.custom(text)?);
    }
    if found.is_empty() {
        bail!("there is no proxy to measure: {}", notes.join(" "));
    }
    Ok(found)
}

/// Asks the ambassador itself whether it adds `X-Forwarded-For`, so that the peers can do the same.
fn forwards(ambassador: &Peer, settings: &Settings, dir: &Path) -> Result<bool> {
    let _origin = start_origin(settings.ports)?;
    let _proxy = settings.launch(ambassador, &dir.join("ambassador.log"))?;
    probe::forwards(settings.ports.http)
}

fn start_origin(ports: Ports) -> Result<tool::Tool> {
    Ok(tool::Tool::start(&["origin", "--port", &ports.origin.to_string()])?.0)
}

/// Finds ports below the range from which the kernel takes those of outgoing connections.
fn free_ports() -> Result<Ports> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let base = (18_080..28_080)
        .step_by(100)
        .find(|base| (*base..base + 3).all(|port| is_free(&port)));
    let base = base.context("no free ports between 18080 and 28080")?;
    Ok(Ports {
        http: base,
        h2c: base + 1,
        origin: base + 2,
    })
}

/// Lets this process and its children open as many files as the system allows.
fn raise_file_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")
}
