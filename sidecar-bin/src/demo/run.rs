//! The demo from its first line to its exit status.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Arg, ArgAction, ArgMatches};
use proxy_cli::Failure;
use proxy_cli::demo::{Screen, Script, Side, Tally};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::caller::{Caller, KINDS};
use super::identities::{HOSTS, Identities, KNOWN};
use super::script::{ACTS, Act, HEARD, KEPT, SLOW};
use super::sidecar::{Sidecar, configuration};
use super::table::{Picture, Row};
use super::workload::Workload;

/// How often the demo looks whether something is to be done or told.
const LOOK: Duration = Duration::from_millis(20);

/// The flags.
pub(crate) fn describe(command: clap::Command) -> clap::Command {
    let keep = Arg::new("keep").long("keep").action(ArgAction::SetTrue);
    command
        .about("Watch it work: TLS before a plain workload, who called, readiness, and a drain that cuts nothing off")
        .arg(keep.help("Keep it running until Ctrl-C, to be called with the curl that it shows"))
}

/// Runs it. The error says what the callers saw, if they saw a failure.
pub(crate) fn run(words: &ArgMatches) -> Result<(), Failure> {
    let keep = words.get_flag("keep");
    let mut screen = Screen::stdout();
    let identities = Arc::new(Identities::make()?);
    let side = Side::start("workload")?;
    let workload = Workload::start(side.runtime(), Arc::clone(&identities))?;
    let text = configuration(&identities, workload.address());
    screen.say(&introduction(&text))?;
    let sidecar = Sidecar::start(&text)?;
    let address = sidecar.address();
    screen.say(&invitation(identities.folder(), address, keep))?;
    let callers = KINDS.iter().map(|kind| {
        let caller = Caller::new(kind, address, &identities)?;
        Ok(Arc::new(caller))
    });
    let mut demo = Demo {
        callers: callers.collect::<anyhow::Result<_>>()?,
        workload,
        sidecar,
        tally: Arc::default(),
        over: watch::Sender::new(false),
        report: None,
        changes: Vec::new(),
        is_cut_short: false,
        side,
    };
    let drained = demo.play(&mut screen, keep)?;
    screen.conclude(&demo.picture())?;
    demo.judge(&mut screen)?;
    Ok(drained?)
}

/// What is shown before anything happens.
pub(super) fn introduction(configuration: &str) -> String {
    let indented: String = configuration
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "A workload speaks plain HTTP and knows neither certificates nor callers. A\n\
         sidecar stands before it, with a certificate for {} and one for\n\
         {}. {} and {} have certificates, guest has none and makes up\n\
         fields, mallory has one that nobody knows. All of it runs in this process.\n\
         The sidecar's configuration:\n\n\
         {indented}\n",
        HOSTS[0], HOSTS[1], KNOWN[0], KNOWN[1],
    )
}

/// How it can be called from elsewhere.
pub(super) fn invitation(folder: &Path, address: SocketAddr, keep: bool) -> String {
    let (host, name) = (HOSTS[0], KNOWN[0]);
    let (folder, ip, port) = (folder.display(), address.ip(), address.port());
    let how_long = match keep {
        true => "until Ctrl-C ends it",
        false => "while it runs, or for longer with `sidecar demo --keep`",
    };
    format!(
        "Call it as {name}, {how_long}:\n\n    \
           curl https://{host}:{port}/ \\\n        \
             --resolve {host}:{port}:{ip} \\\n        \
             --cacert {folder}/ca.pem \\\n        \
             --cert {folder}/{name}.pem \\\n        \
             --key {folder}/{name}.key\n\n"
    )
}

struct Demo {
    callers: Vec<Arc<Caller>>,
    workload: Workload,
    sidecar: Sidecar,
    tally: Arc<Tally>,
    /// Whether callers have heard that they are to call no more.
    over: watch::Sender<bool>,
    /// The slow request that is in flight while the sidecar drains.
    report: Option<JoinHandle<anyhow::Result<()>>>,
    /// What readiness was, each time that it changed.
    changes: Vec<bool>,
    /// Whether somebody ended it before its time.
    is_cut_short: bool,
    side: Side,
}

impl Demo {
    /// Follows the script and shows what it does, until the sidecar has ended. Returns how that was.
    fn play<W: Write>(
        &mut self,
        screen: &mut Screen<W>,
        keep: bool,
    ) -> Result<anyhow::Result<()>, Failure> {
        let signalled = self.side.runtime().spawn(signalled());
        for caller in &self.callers {
            let run = Arc::clone(caller).run(Arc::clone(&self.tally), self.over.subscribe());
            self.side.runtime().spawn(run);
        }
        let start = Instant::now();
        let mut script = Script::new(if keep { KEPT } else { ACTS });
        let mut drains = None;
        loop {
            let now = start.elapsed();
            let asked = signalled.is_finished().then_some(Act::Drain);
            let due = asked.or_else(|| script.due(now));
            if let Some(act) = due.filter(|_| drains.is_none()) {
                screen.announce(now, &self.perform(act)?)?;
                drains = (act == Act::Drain).then_some(now);
                self.is_cut_short = asked.is_some();
            }
            if let Some(event) = self.look() {
                screen.announce(now, &event)?;
            }
            let heard = drains.is_some_and(|since| now >= since + HEARD);
            if heard && !self.over.send_replace(true) {
                screen.announce(now, "the callers have heard of it and call no more")?;
            }
            if let Some(ended) = self.sidecar.ended() {
                let event = self.finish()?;
                screen.announce(start.elapsed(), event)?;
                return Ok(ended);
            }
            if screen.is_due(now) {
                screen.show(now, &self.picture())?;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Lets it happen. Returns what is to be announced.
    fn perform(&mut self, act: Act) -> anyhow::Result<String> {
        match act {
            Act::FallIll => {
                self.workload.be_well(false);
                Ok("the workload fails its health check, and serves on".to_owned())
            }
            Act::Recover => {
                self.workload.be_well(true);
                Ok("the workload passes its health check again".to_owned())
            }
            Act::Drain => {
                let first = self.callers.first().context("there are callers")?;
                let report = Arc::clone(first).report();
                self.report = Some(self.side.runtime().spawn(report));
                self.sidecar.drain()?;
                let (name, slow) = (first.kind.name, SLOW.as_secs());
                Ok(format!(
                    "{name} asks for a report that takes {slow} s; the sidecar drains"
                ))
            }
        }
    }

    /// Looks whether the sidecar is ready. Returns what is to be announced where that is new.
    fn look(&mut self) -> Option<String> {
        let unready = self.sidecar.unready();
        let is_ready = unready.is_none();
        if self.changes.last().unwrap_or(&true) == &is_ready {
            return None;
        }
        self.changes.push(is_ready);
        Some(match unready {
            None => "the sidecar is ready again".to_owned(),
            Some(why) => format!("the sidecar is not ready: {why}"),
        })
    }

    /// Waits for what was in flight when the sidecar began to drain.
    fn finish(&mut self) -> anyhow::Result<&'static str> {
        if let Some(report) = self.report.take() {
            let report = self.side.runtime().block_on(report)?;
            report.context("the report was cut off")?;
        }
        Ok("the report was finished, and the sidecar has ended")
    }

    fn picture(&self) -> Picture {
        let row = |caller: &Arc<Caller>| Row {
            name: caller.kind.name,
            certificate: caller.kind.certificate,
            host: caller.kind.host,
            alpn: caller.kind.alpn,
            sum: caller.sum(),
            told: caller.told(),
        };
        Picture {
            rows: self.callers.iter().map(row).collect(),
            seen: self.tally.sum(),
            is_well: self.workload.is_well(),
            is_ready: self.sidecar.unready().is_none(),
        }
    }

    /// Says how it ended; anything is an error that a caller should not have seen, or that should have happened.
    fn judge<W: Write>(&self, screen: &mut Screen<W>) -> Result<(), Failure> {
        let failures = self.tally.sum().failures;
        screen.say(&format!("failures the callers saw: {failures}\n"))?;
        self.tally.judge("the callers")?;
        Ok(self.check_the_play()?)
    }

    /// Whether everybody was met as they should be. Who ended it early has not seen all of it.
    fn check_the_play(&self) -> anyhow::Result<()> {
        for caller in &self.callers {
            let (sum, name) = (caller.sum(), caller.kind.name);
            let met = if caller.is_welcome() {
                sum.requests
            } else {
                sum.refused
            };
            ensure!(met > 0, "{name} has not called");
        }
        let changes = &self.changes;
        let expected: &[bool] = if self.is_cut_short {
            &[false]
        } else {
            &[false, true, false]
        };
        let follows = changes.ends_with(expected);
        ensure!(
            follows,
            "readiness did not follow the workload: {changes:?}"
        );
        Ok(())
    }
}

/// Over when somebody wants the demo to end.
async fn signalled() {
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(interrupt), signal(terminate)) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
