//! What makes one role's command line differ from another's.

use std::future::Future;
use std::pin::Pin;

use clap::ArgMatches;

use proxy_core::config::Section;
use proxy_core::runtime::Loaded;

use crate::Failure;

/// A role as data. In the texts `{name}` is the role's name.
#[derive(Debug)]
pub struct Role {
    /// The section of the file that it reads, whose name is that of the binary.
    pub section: Section,
    /// One line: what it is.
    pub about: &'static str,
    /// The same with a sentence or two of what it does.
    pub long_about: &'static str,
    /// The help of `--listen`.
    pub listen: &'static str,
    /// The help of `--to`.
    pub to: &'static str,
    /// The help of the request that `explain` is asked about.
    pub request: &'static str,
    /// A pair of those flags that is an example.
    pub pair: &'static str,
    /// The address that clients of the example call.
    pub called: &'static str,
    /// Examples of the whole command line.
    pub examples: &'static str,
    /// Examples of `run`.
    pub run_examples: &'static str,
    /// Examples of `explain`.
    pub explain_examples: &'static str,
    /// The commands that only this role has; they stand behind `schema`.
    pub commands: &'static [Own],
    /// What ends `run` besides signals and requests to drain.
    pub until: Option<Until>,
}

impl Role {
    pub(crate) fn name(&self) -> &'static str {
        self.section.as_str()
    }
}

/// A command that only one role has.
#[derive(Debug)]
pub struct Own {
    /// The word.
    pub name: &'static str,
    /// Adds what it says of itself, and its arguments.
    pub describe: fn(clap::Command) -> clap::Command,
    /// Runs it.
    pub run: fn(&ArgMatches) -> Result<(), Failure>,
}

/// Flags of `run` that only one role has, and that say when it is to end.
#[derive(Debug)]
pub struct Until {
    /// Adds the flags.
    pub describe: fn(clap::Command) -> clap::Command,
    /// Over when the process is to end.
    pub ended: Ended,
}

/// From the flags and what is to run to a future that is over when the process is to end.
pub type Ended = fn(&ArgMatches, &Loaded) -> Result<Pin<Box<dyn Future<Output = ()>>>, Failure>;
