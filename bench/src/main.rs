//! Measures our proxies side by side with HAProxy, nginx and Envoy on one machine.
//!
//! `cargo xtask bench` builds what is needed and runs this program. Without a subcommand it is the
//! runner; `load` is the other side of each measurement, which the runner starts as processes of
//! their own.

mod gray;
mod load;
mod metric;
mod options;
mod peer;
mod report;
mod run;
mod tls;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use options::{Command, Load, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.command {
        Some(Command::Load { part }) => serve(part).map(|()| true),
        Some(Command::Gray(args)) => gray(args),
        Some(Command::Tls(args)) => tls(args),
        None => measure(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(part: &Load) -> Result<()> {
    match part {
        Load::Origin(args) => load::origin::run(args),
        Load::Closed(args) => load::closed::run(args),
        Load::Open(args) => load::open::run(args),
        Load::Idle(args) => load::idle::run(args),
        Load::H2c(args) => load::h2c::run(args),
        Load::Handshake(args) => load::handshake::run(args),
        Load::Gray(args) => load::gray::run(args),
    }
}

/// Runs all measurements and reports them; returns whether every one of them was valid.
fn measure(options: &Options) -> Result<bool> {
    let outcome = run::all(options)?;
    report::all(&options.shared, report::SCENARIOS, &outcome)?;
    Ok(outcome.invalid.is_empty())
}

/// The same inside TLS.
fn tls(args: &tls::Args) -> Result<bool> {
    let outcome = tls::all(args)?;
    report::all(&args.shared, report::TLS, &outcome)?;
    Ok(outcome.invalid.is_empty())
}

/// The same for gray failures.
fn gray(args: &gray::Args) -> Result<bool> {
    let outcome = gray::all(args)?;
    gray::report(args, &outcome)?;
    Ok(outcome.is_whole())
}
