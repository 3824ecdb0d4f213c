//! What makes one role's command line differ from another's.

use clap::ArgMatches;

use crate::Failure;

/// A role as data. In the texts `{name}` is the role's name.
#[derive(Debug)]
pub struct Role {
    /// The name of the binary, of the section that it reads, and in `remora_build_info`.
    pub name: &'static str,
    /// Where its admin interface listens by default.
    pub admin: &'static str,
    /// One line: what it is.
    pub about: &'static str,
    /// The same with a sentence or two of what it does.
    pub long_about: &'static str,
    /// The help of `--listen`.
    pub listen: &'static str,
    /// The help of `--to`.
    pub to: &'static str,
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
