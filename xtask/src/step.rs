//! Runs commands with a headline before and the time they took after.

use std::fmt;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result};

/// A command that ended badly.
#[derive(Debug)]
pub(crate) struct Failed {
    what: String,
    status: ExitStatus,
}

impl Failed {
    /// The exit code to pass on; 1 where the command was ended by a signal.
    pub(crate) fn code(&self) -> u8 {
        self.status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .filter(|code| *code != 0)
            .unwrap_or(1)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed ({})", self.what, self.status)
    }
}

impl std::error::Error for Failed {}

/// Runs a command whose output goes where ours goes.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {what}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        return Err(Failed {
            what: what.to_owned(),
            status,
        }
        .into());
    }
    eprintln!(
        "==> {what}: done in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Runs a command quietly and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
