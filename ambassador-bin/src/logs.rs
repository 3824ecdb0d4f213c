//! The process's own log on standard error: text on a terminal, JSON lines otherwise.

use std::io::{IsTerminal, stderr};

use tracing::Level;

/// Starts logging. `REMORA_LOG` sets the level: error, warn, info (the default), debug or trace.
pub(crate) fn start() {
    let level = std::env::var("REMORA_LOG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::INFO);
    let logs = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_max_level(level)
        .with_target(false);
    if stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
}
