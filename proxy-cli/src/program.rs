//! From the words of the command line to an exit code.

use std::future::pending;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::ArgMatches;
use proxy_core::config::{Errors, effective as effective_of};
use proxy_core::runtime::aside;

use crate::command::{Cli, Command, Options, grammar};
use crate::{Failure, Role, explain as told, load, logs};

/// Does what the command line asks of a role, and returns how the process is to end.
pub fn main(role: &'static Role) -> ExitCode {
    let matches = grammar(role).get_matches();
    match dispatch(role, &matches) {
        Ok(()) => {
            logs::end(None);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            logs::end(Some(failure.to_string()));
            failure.exit_code()
        }
    }
}

fn dispatch(role: &'static Role, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some((name, words)) = matches.subcommand()
        && let Some(own) = role.commands.iter().find(|own| own.name == name)
    {
        return (own.run)(words);
    }
    let cli = Cli::read(role, matches).unwrap_or_else(|error| error.exit());
    match &cli.command {
        None | Some(Command::Run(_)) => run(role, cli.options(), matches),
        Some(Command::Check {
            options,
            effective,
            samples,
        }) => check(role, options, *effective, samples.as_deref()),
        Some(Command::Explain {
            options,
            request,
            headers,
        }) => explain(role, options, request, headers),
        Some(Command::Schema) => print(proxy_core::config::schema()),
        Some(Command::Completions { shell }) => completions(role, *shell),
    }
}

fn run(role: &'static Role, options: &Options, words: &ArgMatches) -> Result<(), Failure> {
    let (section, own) = (role.section, options.clone());
    let loading = aside("load", move || load::load(section, &own))?;
    let loaded = loading.blocking_recv().context("reading it broke off")?;
    let loaded = loaded.map_err(Failure::Usage)?;
    let words = words.subcommand_matches("run").unwrap_or(words);
    let ended = match &role.until {
        Some(until) => (until.ended)(words, &loaded)?,
        None => Box::pin(pending()),
    };
    logs::start()?;
    let again = options.clone();
    let source = proxy_core::runtime::Source {
        file: options.config.clone(),
        load: Arc::new(move || load::load(role.section, &again)),
    };
    proxy_core::runtime::run_until(role.name(), loaded, source, ended)?;
    Ok(())
}

fn check(
    role: &Role,
    options: &Options,
    effective: bool,
    samples: Option<&Path>,
) -> Result<(), Failure> {
    let usage = |errors: Errors| Failure::Usage(errors.to_string());
    let read = load::read(role.section, options).map_err(usage)?;
    let samples = samples.map(|file| told::check(&read, file));
    let samples = samples.transpose().map_err(usage)?;
    if effective {
        return print(&effective_of(&read.document.config));
    }
    let count = read.document.listeners().len();
    let noun = if count == 1 { "entry" } else { "entries" };
    let samples = samples.map(|count| {
        let noun = if count == 1 { "sample" } else { "samples" };
        format!(", {count} {noun}")
    });
    print(&format!(
        "ok: {count} {noun}{}\n",
        samples.unwrap_or_default()
    ))
}

fn explain(
    role: &Role,
    options: &Options,
    request: &str,
    headers: &[String],
) -> Result<(), Failure> {
    let read =
        load::read(role.section, options).map_err(|errors| Failure::Usage(errors.to_string()))?;
    print(&told::explain(&read, request, headers).map_err(Failure::Usage)?)
}

fn completions(role: &'static Role, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut grammar(role), role.name(), &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes to standard output. A reader that has read enough, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
