//! Measures every proxy inside TLS: repetition outermost, then proxy, then scenario.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::certificate;
use super::options::Args;
use super::peers::{Ports, Prepare};
use super::scenario::{Scenario, Settings};
use crate::peer::{Peer, programs};
use crate::run::conditions::Conditions;
use crate::run::cost::{Busy, Cost};
use crate::run::ledger::Ledger;
use crate::run::prepare::{free_ports, start_origin};
use crate::run::{Figures, Outcome, probe};

/// The share of the time for which a proxy is busy, at least, that works as hard as it can: Linux may leave 5 % to
/// others that are not under a real-time policy, sched(7).
const SATURATED: f64 = 0.92;

/// Prepares the proxies, measures them as often as asked and returns every figure.
pub(crate) fn all(args: &Args) -> Result<Outcome> {
    let started = Instant::now();
    let dir = args.shared.folder()?;
    let base = free_ports(3)?;
    let settings = Settings {
        ports: Ports {
            plain: base,
            secure: base + 1,
            origin: base + 2,
        },
        cpus: args.shared.cpus(),
        files: certificate::make(&dir)?,
        seconds: args.shared.seconds(args.seconds),
        idle: args.idle,
    };
    let prepare = Prepare {
        ports: settings.ports,
        dir: &dir,
        files: &settings.files,
        args,
    };
    for name in &args.proxies {
        // A peer may be missing; what the run is for may not.
        if let Some((flag, program)) = args.own(name) {
            programs::given(program, name, flag)?;
        }
    }
    let mut notes = Vec::new();
    let mut peers = programs::gather(&args.proxies, &mut notes, |name| prepare.peer(name));
    for text in &args.peers {
        peers.push(prepare.custom(text)?);
    }
    if peers.is_empty() {
        bail!("there is no proxy to measure: {}", notes.join(" "));
    }
    let reps = args.shared.reps();
    let conditions = Conditions::begin(settings.cpus, &mut notes)?;
    let origin = start_origin(settings.ports.origin)?;
    let mut run = Run {
        args,
        ledger: Ledger::new(dir.clone(), reps),
        settings: settings.clone(),
        idle: BTreeMap::new(),
        exchanges: BTreeMap::new(),
    };
    notes.push(run.told(&peers)?);
    for rep in 0..reps {
        run.repeat(rep, &peers);
    }
    drop(origin);
    conditions.end(&mut notes);
    notes.extend(run.notes());
    Ok(Outcome {
        peers,
        samples: run.ledger.samples,
        invalid: run.ledger.invalid,
        notes,
        took: started.elapsed(),
    })
}

struct Run<'a> {
    args: &'a Args,
    settings: Settings,
    ledger: Ledger,
    /// Where the proxy's CPU was not busy all the time.
    idle: BTreeMap<(Scenario, String), Busy>,
    /// The key exchange of each proxy where it may choose.
    exchanges: BTreeMap<String, String>,
}

impl Run<'_> {
    /// What the proxies tell the origin of the caller: all the same, or it is no comparison.
    fn told(&self, peers: &[Peer]) -> Result<String> {
        let mut first: Option<(&str, Vec<String>)> = None;
        for peer in peers {
            let _proxy = self.settings.launch(peer, &self.ledger.log(&peer.name))?;
            let told = probe::forwarded(self.settings.ports.plain)?;
            match &first {
                Some((name, other)) if *other != told => bail!(
                    "{} adds {told:?} to a request, and {name} {other:?}",
                    peer.name
                ),
                Some(_) => {}
                None => first = Some((&peer.name, told)),
            }
        }
        let told = first.map(|(_, told)| told).unwrap_or_default();
        Ok(format!("All proxies add {}.", told.join(", ")))
    }

    /// One repetition over all proxies, starting with another one each time.
    fn repeat(&mut self, rep: usize, peers: &[Peer]) {
        for offset in 0..peers.len() {
            let peer = &peers[(rep + offset) % peers.len()];
            self.drive(rep, peer);
            if self.args.wants(Scenario::Memory) {
                let log = self.ledger.log(&peer.name);
                let measured = self.settings.memory(peer, &log);
                self.ledger
                    .book(rep, &peer.name, &Scenario::Memory.name(), measured);
            }
        }
    }

    /// Starts a proxy once and drives it with each scenario of load.
    fn drive(&mut self, rep: usize, peer: &Peer) {
        let scenarios = Scenario::value_variants().iter().copied();
        let wanted: Vec<Scenario> = scenarios
            .filter(|scenario| scenario.metrics().is_some() && self.args.wants(*scenario))
            .collect();
        let Some(first) = wanted.first() else { return };
        let log = self.ledger.log(&peer.name);
        let proxy = match self.settings.launch(peer, &log) {
            Ok(proxy) => proxy,
            Err(error) => {
                return self.ledger.refuse(rep, &peer.name, &first.name(), &error);
            }
        };
        for scenario in wanted {
            let measured = self.settings.live(scenario, &proxy);
            let measured = measured.map(|cost| self.take(rep, peer, scenario, &cost));
            self.ledger
                .book(rep, &peer.name, &scenario.name(), measured);
        }
        if let Err(error) = proxy.end() {
            self.ledger.refuse(rep, &peer.name, "end", &error);
        }
    }

    /// The figures of a cost; what else it tells is kept for the notes.
    fn take(&mut self, rep: usize, peer: &Peer, scenario: Scenario, cost: &Cost) -> Figures {
        let Busy { proxy, load } = cost.busy;
        let text = format!(
            "busy: proxy {:.0} %, load and origin {:.0} %",
            proxy * 100.0,
            load * 100.0
        );
        self.ledger.tell(rep, &peer.name, &scenario.name(), &text);
        if proxy < SATURATED {
            let least = self.idle.entry((scenario, peer.name.clone()));
            let least = least.or_insert(cost.busy);
            if proxy < least.proxy {
                *least = cost.busy;
            }
        }
        let group = cost.report.get("group").and_then(Value::as_str);
        if let (Scenario::TlsDefault, Some(group)) = (scenario, group) {
            self.exchanges.insert(peer.name.clone(), group.to_owned());
        }
        let metrics = scenario.metrics().into_iter();
        metrics
            .flat_map(|(cpu, rate)| [(cpu, cost.cpu), (rate, cost.rate)])
            .collect()
    }

    /// What a reader must know of single figures.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.exchanges.is_empty() {
            let each = self.exchanges.iter();
            let each: Vec<String> = each
                .map(|(proxy, group)| format!("{proxy} {group}"))
                .collect();
            notes.push(format!("The default key exchange: {}.", each.join(", ")));
        }
        let waited: Vec<String> = self
            .idle
            .iter()
            .map(|((scenario, proxy), busy)| {
                format!(
                    "{} with {proxy} ({:.0} %, load and origin {:.0} %)",
                    scenario.name(),
                    busy.proxy * 100.0,
                    busy.load * 100.0
                )
            })
            .collect();
        notes.push(match waited.is_empty() {
            true => format!(
                "All proxies were busy for {:.0} % of the time or more, so that rates are their own.",
                SATURATED * 100.0
            ),
            false => format!(
                "The rate is not the proxy's own where it was busy for less than {:.0} % of the time: {}.",
                SATURATED * 100.0,
                waited.join("; ")
            ),
        });
        notes
    }
}
