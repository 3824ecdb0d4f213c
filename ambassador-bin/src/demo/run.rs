//! The demo from its first line to its exit status.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::task::JoinHandle;

use super::ambassador::{Ambassador, configuration};
use super::names::NAME;
use super::script::{ACTS, LENGTH};
use super::service::{REPLICAS, Service};
use super::table::{Picture, Row};
use super::workload::{self, RATE};
use proxy_cli::Failure;
use proxy_cli::demo::{Screen, Script, Side, Tally};

/// How often the demo looks whether something is to be done or told.
const LOOK: Duration = Duration::from_millis(20);

/// Runs it. The error says what the workload saw, if it saw a failure.
pub(crate) fn run() -> Result<(), Failure> {
    let mut screen = Screen::stdout();
    let service = Service::start()?;
    let text = configuration(service.names.address(), NAME, service.port);
    screen.say(&introduction(&text))?;
    let ambassador = Ambassador::start(&text)?;
    let address = ambassador.address()?;
    screen.say(&format!("The workload calls http://{address}.\n\n"))?;
    let mut demo = Demo {
        service,
        ambassador,
        tally: Arc::default(),
    };
    let side = Side::start("workload")?;
    let work = workload::run(address, LENGTH, Arc::clone(&demo.tally));
    let work = side.runtime().spawn(work);
    demo.play(&mut screen, &work)?;
    drop(side);
    let drained = demo.ambassador.drain();
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
        "For {} s a workload sends {RATE} requests a second to an ambassador, which passes\n\
         them on to the {REPLICAS} replicas behind {NAME}. All of it runs in this process.\n\
         The ambassador's configuration:\n\n\
         {indented}\n",
        LENGTH.as_secs(),
    )
}

struct Demo {
    service: Service,
    ambassador: Ambassador,
    tally: Arc<Tally>,
}

impl Demo {
    /// Follows the script and shows what it does, until the workload has ended.
    fn play<W: Write>(
        &mut self,
        screen: &mut Screen<W>,
        work: &JoinHandle<()>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let mut script = Script::new(ACTS);
        screen.announce(Duration::ZERO, &self.service.prologue())?;
        loop {
            let now = start.elapsed();
            let is_over = work.is_finished();
            while let Some(act) = script.due(now) {
                let event = self
                    .service
                    .perform(act)
                    .context("the demo went off its script")?;
                screen.announce(now, &event)?;
            }
            for address in self.ambassador.look() {
                let event = format!("the ambassador ejects replica {}", address.ip());
                screen.announce(now, &event)?;
            }
            if screen.is_due(now) {
                screen.show(now, &self.picture())?;
            }
            if is_over {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn picture(&self) -> Picture {
        let counts = self.ambassador.counts();
        let rows = self.service.replicas.iter().map(|replica| {
            let address = self.service.address(replica);
            Row {
                address,
                state: replica.state,
                in_dns: self.service.names.has(replica.ip),
                requests: replica.requests(),
                ejected: self.ambassador.ejected(address),
            }
        });
        Picture {
            rows: rows.collect(),
            seen: self.tally.sum(),
            tries: counts.tries,
            retries: counts.retries,
            ejections: counts.ejections,
        }
    }

    /// Says how it ended; anything but a whole workload without a failure is an error.
    fn judge<W: Write>(&self, screen: &mut Screen<W>) -> Result<(), Failure> {
        let sum = self.tally.sum();
        screen.say(&format!("failures the workload saw: {}\n", sum.failures))?;
        self.tally.judge("the workload")?;
        let expected = u64::from(RATE) * LENGTH.as_secs();
        if sum.requests < expected {
            let text = "requests, because the workload broke off";
            return Err(anyhow!("only {} of {expected} {text}", sum.requests).into());
        }
        Ok(())
    }
}
