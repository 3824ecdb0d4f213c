//! The ambassador of the demo: the one that `ambassador run` starts, from the text that is shown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use proxy_core::admin::EntryView;
use proxy_core::config;
use proxy_core::runtime::{self, Handle};

use super::table::Ejected;
use proxy_cli::Failure;

/// The entry's name.
const ENTRY: &str = "shop";

/// How long the first look-up may take.
const FIRST_LOOKUP: Duration = Duration::from_secs(3);

/// A running ambassador.
pub(super) struct Ambassador {
    handle: Handle,
    entry: EntryView,
    ejected: BTreeMap<SocketAddr, Ejected>,
}

/// What it has counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Requests sent to replicas, retries included.
    pub(super) tries: u64,
    /// Retries.
    pub(super) retries: u64,
    /// Replicas taken out of the rotation.
    pub(super) ejections: u64,
}

/// A configuration that asks the name server at `names` for a service on `port`.
pub(super) fn configuration(names: SocketAddr, name: &str, port: u16) -> String {
    format!(
        "admin: off\n\
         access-log: off\n\
         dns: {{servers: [{names}]}}\n\
         ambassador:\n  \
           {ENTRY}: {{listen: localhost:0, to: http://{name}:{port}}}\n"
    )
}

impl Ambassador {
    /// Compiles the configuration and runs it; returns when the name is resolved.
    pub(super) fn start(text: &str) -> Result<Self, Failure> {
        let document = config::parse(text, "the demo", &|_| None)
            .map_err(|errors| Failure::Usage(errors.to_string()))?;
        let handle = Handle::from_document(&document)?;
        let entry = handle.view().entries.load().first().cloned();
        let ambassador = Self {
            handle,
            entry: entry.context("the ambassador has no entry")?,
            ejected: BTreeMap::new(),
        };
        ambassador.wait()?;
        Ok(ambassador)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FIRST_LOOKUP;
        while !self.handle.view().lifecycle.unready().is_empty() {
            if Instant::now() >= deadline {
                bail!(
                    "the ambassador had no answer from the demo's name server in {FIRST_LOOKUP:?}"
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where the workload connects to.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        let addresses = self.handle.addresses(ENTRY);
        addresses
            .first()
            .copied()
            .context("the ambassador listens nowhere")
    }

    /// Looks which replicas are out of the rotation. Returns those that were not at the last look.
    pub(super) fn look(&mut self) -> Vec<SocketAddr> {
        let before = std::mem::take(&mut self.ejected);
        let endpoints = self.entry.endpoints.endpoints();
        let params = self.entry.endpoints.eject_params();
        let ejected = endpoints.iter().filter(|one| one.is_ejected(params));
        let now: Vec<SocketAddr> = ejected.filter_map(|one| one.address().tcp()).collect();
        let is_new = |address: &SocketAddr| before.get(address) != Some(&Ejected::Now);
        let new = now.iter().copied().filter(is_new).collect();
        let earlier = before.keys().map(|address| (*address, Ejected::Before));
        self.ejected = earlier
            .chain(now.iter().map(|address| (*address, Ejected::Now)))
            .collect();
        new
    }

    /// What the last look said of a replica.
    pub(super) fn ejected(&self, replica: SocketAddr) -> Ejected {
        self.ejected.get(&replica).copied().unwrap_or(Ejected::No)
    }

    /// What it has counted so far.
    pub(super) fn counts(&self) -> Counts {
        let totals = self.entry.telemetry.totals();
        Counts {
            tries: totals.tries.load(Relaxed),
            retries: totals.retries().map(|(_, count)| count).sum(),
            ejections: self.entry.endpoints.ejections(),
        }
    }

    /// Drains it as SIGTERM would, and returns when it has ended.
    pub(super) fn drain(&mut self) -> Result<(), runtime::Error> {
        self.handle.drain()
    }
}
