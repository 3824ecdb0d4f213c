//! `cargo xtask`: the commands that people run in this repository, each one line to remember.

mod bench;
mod cargo;
mod dist;
mod go;
mod lint;
mod packages;
mod profile;
mod step;
mod test;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask COMMAND

  test [FILTER] [-- ARGS]  install what the tests need, build the programs, run all tests
                           (or those whose name contains FILTER; ARGS go to the test programs)
  lint                     rustfmt, clippy, rustdoc and cargo-deny, warnings as errors
  ci                       test, then lint
  demo [ROLE] [ARGS]       the demonstration of a role, by default the ambassador's
  bench [OPTIONS]          measure the ambassador beside HAProxy, nginx and Envoy (see bench --help)
  bench gray [OPTIONS]     the same while one of three endpoints fails (see bench gray --help)
  bench tls [OPTIONS]      measure the sidecar beside them inside TLS (see bench tls --help)
  dist [--plain] [ROLE...] a static release binary of each role in target/dist, guided by a profile that is
                           taken first (a build more and a minute of load), or --plain, without

With CI=true in the environment, a component that is missing is a failure and not a remark.";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            error
                .downcast_ref::<step::Failed>()
                .map_or(ExitCode::FAILURE, |failed| ExitCode::from(failed.code()))
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", words),
    };
    match command {
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "demo" => cargo::demo(rest),
        "help" | "-h" | "--help" => {
            println!("{HELP}");
            Ok(())
        }
        "lint" | "ci" if !rest.is_empty() => bail!("`{command}` takes no arguments"),
        "lint" => lint::run(),
        "ci" => test::run(&[]).and_then(|()| lint::run()),
        "dist" => dist::run(rest),
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}

/// Whether a missing component is a failure.
fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
