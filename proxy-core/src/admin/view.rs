//! What the admin interface sees of a running process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot, watch};

use super::live::Places;
#[cfg(feature = "acme")]
use crate::acme::Status;
use crate::balance::EndpointSet;
use crate::discovery::Resolution;
use crate::lifecycle::Lifecycle;
use crate::resilience::limit::InFlight;
use crate::resilience::retry::Budget;
use crate::telemetry::{AccessLog, EntryTelemetry};
use crate::tls::Acceptor;

/// One entry.
#[derive(Debug, Clone)]
pub struct EntryView {
    /// Its counters.
    pub telemetry: Arc<EntryTelemetry>,
    /// Its endpoints.
    pub endpoints: Arc<EndpointSet>,
    /// What discovery knows, one a target.
    pub resolutions: Vec<watch::Receiver<Resolution>>,
    /// The limit of requests at once, if there is one.
    pub limit: Option<Arc<InFlight>>,
    /// The retries that it may make; none where it repeats nothing.
    pub budget: Option<Arc<Budget>>,
    /// Whether it copies bytes of connections, rather than serving requests.
    pub is_tcp: bool,
    /// Whether its endpoints are asked how they are.
    pub is_checked: bool,
    /// Whether the process is ready only while one of its endpoints passes its checks.
    pub gates: bool,
    /// Whether its connections must begin with a header of the PROXY protocol.
    pub is_introduced: bool,
    /// What speaks TLS to its callers, if anything does.
    pub acceptor: Option<Arc<Acceptor>>,
    /// Whether its connections begin with a TLS handshake, be it answered here or elsewhere.
    pub takes_tls: bool,
    /// How it goes with its certificate, where one is obtained.
    #[cfg(feature = "acme")]
    pub acme: Option<Arc<Status>>,
    /// Where it listens, as the file says.
    pub listens: Vec<SocketAddr>,
    /// What its targets are called.
    pub leads_to: Vec<String>,
}

/// What someone asked the process to do.
#[derive(Debug)]
pub enum Asked {
    /// Read the configuration again; answered with its errors.
    Reload(oneshot::Sender<Result<(), String>>),
    /// Drain and exit.
    Drain,
}

/// A running process.
#[derive(Debug)]
pub struct View {
    /// The role, as in `remora_build_info`.
    pub role: &'static str,
    /// Readiness and drain.
    pub lifecycle: Lifecycle,
    /// The entries, in the order of their names.
    pub entries: ArcSwap<Vec<EntryView>>,
    /// The effective configuration as YAML.
    pub config: ArcSwap<String>,
    /// Whether the latest reload succeeded.
    pub reload_succeeded: AtomicBool,
    /// Why the latest reload was rejected; none when it was not.
    pub reload_errors: ArcSwapOption<String>,
    /// Reloads that succeeded.
    pub reloads: AtomicU64,
    /// Reloads that were rejected.
    pub reloads_rejected: AtomicU64,
    /// The access log, for the count of dropped lines.
    pub access_log: AccessLog,
    /// Places for those who watch the live page.
    pub places: Places,
    /// Where requests to act go.
    pub asked: mpsc::UnboundedSender<Asked>,
}

impl View {
    /// What readiness waits for: nothing when ready.
    pub fn unready(&self) -> Vec<String> {
        let mut waiting = self.lifecycle.unready();
        let entries = self.entries.load();
        waiting.extend(entries.iter().filter_map(EntryView::unwell));
        waiting
    }
}

impl EntryView {
    /// Why its endpoints keep the process from being ready.
    fn unwell(&self) -> Option<String> {
        let endpoints = self.endpoints.endpoints();
        if !self.gates || endpoints.iter().any(|endpoint| endpoint.is_proven()) {
            return None;
        }
        let complaint = endpoints.iter().find_map(|endpoint| endpoint.complaint());
        let name = self.telemetry.name();
        Some(match complaint {
            Some(complaint) => format!("{name} (the workload fails its health check: {complaint})"),
            None => format!("{name} (the workload has passed no health check yet)"),
        })
    }
}
