//! The process's own log on standard error: text on a terminal, JSON lines otherwise.

use std::io::{IsTerminal, stderr};

use tracing::Level;

/// Starts logging. `REMORA_LOG` sets the level: error, warn, info (the default), debug or trace.
pub(crate) fn start() {
    let asked = std::env::var("REMORA_LOG").ok();
    let level = asked.as_deref().map(str::parse);
    let logs = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_max_level(match level {
            Some(Ok(level)) => level,
            _ => Level::INFO,
        })
        .with_target(false);
    if stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
    if let (Some(asked), Some(Err(_))) = (&asked, level) {
        tracing::warn!(
            "REMORA_LOG is `{asked}`, which is no level; write error, warn, info, debug or trace"
        );
    }
}
