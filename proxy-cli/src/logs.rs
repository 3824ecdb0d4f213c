//! The process's own log on standard error: text on a terminal, JSON lines otherwise.
//!
//! A thread of its own writes it: a reader that is slow, or has stopped, holds up nothing else.

use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;
use std::time::Duration;

use proxy_core::telemetry::OwnLog;
use tracing::Level;
use tracing::level_filters::STATIC_MAX_LEVEL;

/// How long the reader may take for what is still queued at the end.
const FLUSH: Duration = Duration::from_secs(2);

static LOG: OnceLock<OwnLog> = OnceLock::new();

/// Starts logging. `REMORA_LOG` sets the level: error, warn, info (the default) or debug, and trace where the build has it.
///
/// # Errors
/// When there is no thread for it.
pub(crate) fn start() -> std::io::Result<()> {
    let (log, writer) = OwnLog::new();
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || writer.run(stderr()))?;
    let log = LOG.get_or_init(|| log);
    let asked = std::env::var("REMORA_LOG").ok();
    let level = asked.as_deref().map(str::parse);
    let logs = tracing_subscriber::fmt()
        .with_writer(|| log.clone())
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
    match (&asked, level) {
        (Some(asked), Some(Err(_))) => tracing::warn!(
            "REMORA_LOG is `{asked}`, which is no level; write error, warn, info or debug"
        ),
        (_, Some(Ok(Level::TRACE))) if STATIC_MAX_LEVEL < Level::TRACE => {
            tracing::warn!(
                "REMORA_LOG=trace tells what debug does: build without --release for more"
            );
        }
        _ => {}
    }
    Ok(())
}

/// Says on standard error why the process ends, behind all that was logged before, and waits for what is queued.
pub(crate) fn end(last_words: Option<String>) {
    match (LOG.get(), last_words) {
        (None, Some(words)) => eprint!("{words}"),
        (None, None) => {}
        (Some(log), words) => {
            words
                .into_iter()
                .for_each(|words| log.line(words.into_bytes()));
            log.flush_within(FLUSH);
        }
    }
}
