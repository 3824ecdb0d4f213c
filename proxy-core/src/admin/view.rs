//! What the admin interface sees of a running process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::balance::EndpointSet;
use crate::discovery::Resolution;
use crate::lifecycle::Lifecycle;
use crate::resilience::limit::InFlight;
use crate::telemetry::{AccessLog, EntryTelemetry};

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
    /// Reloads that succeeded.
    pub reloads: AtomicU64,
    /// Reloads that were rejected.
    pub reloads_rejected: AtomicU64,
    /// The access log, for the count of dropped lines.
    pub access_log: AccessLog,
    /// Where requests to act go.
    pub asked: mpsc::UnboundedSender<Asked>,
}
