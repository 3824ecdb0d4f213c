//! The ambassador: a workload calls `localhost`, the ambassador finds the service, picks an endpoint and retries what may be retried.

mod cli;
mod demo;
mod explain;
mod load;
mod logs;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use proxy_core::config::{Errors, effective as effective_of};

use cli::{Cli, Command};

/// A request makes a few dozen small allocations: this allocator makes them several times cheaper than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        None | Some(Command::Run(_)) => run(cli.options()),
        Some(Command::Check {
            options,
            effective,
            samples,
        }) => check(options, *effective, samples.as_deref()),
        Some(Command::Explain {
            options,
            request,
            headers,
        }) => explain(options, request, headers),
        Some(Command::Schema) => schema(),
        Some(Command::Demo) => demo::run(),
        Some(Command::Completions { shell }) => completions(*shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{failure}");
            failure.exit_code()
        }
    }
}

/// Why a command ended badly, as the operator sees it.
enum Failure {
    /// The configuration or the command line is wrong.
    Usage(String),
    /// It failed while running.
    Running(anyhow::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Running(_) => ExitCode::from(1),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

fn run(options: &cli::Options) -> Result<(), Failure> {
    let loaded = load::load(options).map_err(Failure::Usage)?;
    logs::start();
    let again = options.clone();
    let source = proxy_core::runtime::Source {
        file: options.config.clone(),
        load: Box::new(move || load::load(&again)),
    };
    proxy_core::runtime::run("ambassador", loaded, source)?;
    Ok(())
}

fn check(options: &cli::Options, effective: bool, samples: Option<&Path>) -> Result<(), Failure> {
    let usage = |errors: Errors| Failure::Usage(errors.to_string());
    let read = load::read(options).map_err(usage)?;
    let samples = samples.map(|file| explain::check(&read, file));
    let samples = samples.transpose().map_err(usage)?;
    if effective {
        return print(&effective_of(&read.document.config));
    }
    let count = read.document.config.ambassador.len();
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

fn explain(options: &cli::Options, request: &str, headers: &[String]) -> Result<(), Failure> {
    let read = load::read(options).map_err(|errors| Failure::Usage(errors.to_string()))?;
    print(&explain::explain(&read, request, headers).map_err(Failure::Usage)?)
}

fn schema() -> Result<(), Failure> {
    print(&format!("{:#}\n", proxy_core::config::schema()))
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ambassador", &mut script);
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
