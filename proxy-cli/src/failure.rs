//! Why a command ended badly, as the operator sees it, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// Why a command ended badly.
#[derive(Debug)]
pub enum Failure {
    /// The configuration or the command line is wrong; the text is all that is said.
    Usage(String),
    /// It failed while running.
    Running(anyhow::Error),
}

impl Failure {
    /// 2 for what is wrong before anything runs, and 1 for what fails then.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Running(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => writeln!(f, "{}", text.trim_end()),
            Self::Running(error) => writeln!(f, "error: {error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Running(error.into())
    }
}
