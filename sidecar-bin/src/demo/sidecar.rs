//! The sidecar of the demo: the one that `sidecar run` starts, from the text that is shown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use proxy_cli::Failure;
use proxy_core::admin::View;
use proxy_core::config::Section;
use proxy_core::runtime::{self, Handle};

use super::identities::Identities;
use super::script::DELAY;
use super::workload::HEALTH;

/// The entry's name.
const ENTRY: &str = "web";

/// How long the workload's first check may take.
const FIRST_CHECK: Duration = Duration::from_secs(3);

/// A running sidecar, or one that drains.
pub(super) struct Sidecar {
    view: Arc<View>,
    address: SocketAddr,
    state: State,
}

enum State {
    Serves(Handle),
    Drains(JoinHandle<Result<(), runtime::Error>>),
    Ended,
}

/// A configuration with the demo's certificates before a workload at this address.
pub(super) fn configuration(identities: &Identities, workload: SocketAddr) -> String {
    let (hosts, folder) = (identities.hosts(), identities.folder());
    format!(
        "admin: off\n\
         access-log: off\n\
         drain: {{delay: {DELAY}}}\n\
         sidecar:\n  \
           {ENTRY}:\n    \
             listen: localhost:0\n    \
             to: http://{workload}\n    \
             health: {{path: {HEALTH}, every: 200ms}}\n    \
             tls:\n      \
               folder: {}\n      \
               client-ca: {}/ca.pem\n      \
               client: optional\n",
        hosts.display(),
        folder.display(),
    )
}

impl Sidecar {
    /// Compiles the configuration and runs it; returns when the workload has passed its first check.
    pub(super) fn start(text: &str) -> Result<Self, Failure> {
        let document = Section::Sidecar
            .parse(text, "the demo", &|_| None)
            .map_err(|errors| Failure::Usage(errors.to_string()))?;
        let handle = Handle::from_document(&document)?;
        let address = handle.addresses(ENTRY).first().copied();
        let sidecar = Self {
            view: Arc::clone(handle.view()),
            address: address.context("the sidecar listens nowhere")?,
            state: State::Serves(handle),
        };
        sidecar.wait()?;
        Ok(sidecar)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FIRST_CHECK;
        while let Some(why) = self.unready() {
            if Instant::now() >= deadline {
                bail!("the sidecar was not ready within {FIRST_CHECK:?}: {why}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where callers connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `/readyz` would say; none while it is ready.
    pub(super) fn unready(&self) -> Option<String> {
        let waits = self.view.unready();
        (!waits.is_empty()).then(|| waits.join(", "))
    }

    /// Begins to drain as SIGTERM would make it.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        let State::Serves(mut handle) = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(());
        };
        let thread = std::thread::Builder::new().name("drain".to_owned());
        let draining = thread.spawn(move || handle.drain())?;
        self.state = State::Drains(draining);
        Ok(())
    }

    /// How it ended, once it has.
    pub(super) fn ended(&mut self) -> Option<anyhow::Result<()>> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Drains(thread) if thread.is_finished() => {
                let ended = thread.join();
                Some(ended.map_or_else(|_| Err(anyhow!("the drain broke off")), |end| Ok(end?)))
            }
            other => {
                self.state = other;
                None
            }
        }
    }
}
