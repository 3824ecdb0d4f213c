//! `cargo xtask lint`: everything that checks the text of the code. All checks run, even after one has failed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::{cargo, root};
use crate::{is_ci, step};

/// Runs the checks and returns the first failure.
pub(crate) fn run() -> Result<()> {
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let doc = ["doc", "--workspace", "--no-deps"];
    let outcomes = [
        step::run("rustfmt", &mut cargo(&["fmt", "--all", "--check"])),
        step::run("clippy", &mut cargo(&clippy)),
        step::run("rustdoc", cargo(&doc).env("RUSTDOCFLAGS", "-D warnings")),
        deny(),
    ];
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    failures.iter().for_each(|error| eprintln!("==> {error:#}"));
    let count = failures.len();
    match failures.into_iter().next() {
        Some(first) => Err(first).with_context(|| format!("{count} of 4 checks failed")),
        None => Ok(()),
    }
}

/// The version that CI builds where none is installed.
const DENY: &str = "cargo-deny@0.20.2";

/// Checks licences, sources, banned crates and known vulnerabilities with cargo-deny.
///
/// Where it is not installed CI builds it into the build folder; elsewhere the check is skipped, because that takes minutes.
fn deny() -> Result<()> {
    let Some(program) = deny_program() else {
        eprintln!("==> cargo-deny: skipped, it is not installed (cargo install --locked {DENY})");
        return Ok(());
    };
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(root()).args(arguments);
        command
    };
    let mut fetch = run(&["fetch", "db"]);
    fetch.stdout(Stdio::null()).stderr(Stdio::null());
    if fetch.status().is_ok_and(|status| status.success()) {
        return step::run("cargo-deny", &mut run(&["check"]));
    }
    let weight = if is_ci() {
        "this run knows nothing of vulnerabilities"
    } else {
        "try again with a network"
    };
    eprintln!("==> cargo-deny: the advisory database cannot be reached; {weight}");
    step::run(
        "cargo-deny without advisories",
        &mut run(&["check", "bans", "licenses", "sources"]),
    )
}

/// cargo-deny as installed, or as CI builds it.
fn deny_program() -> Option<PathBuf> {
    let works = |program: &PathBuf| {
        step::succeeds(Command::new(program).arg("--version").stdout(Stdio::null()))
    };
    let installed = PathBuf::from("cargo-deny");
    if works(&installed) {
        return Some(installed);
    }
    let tools = root().join("target/tools");
    let built = tools.join("bin/cargo-deny");
    if is_ci() && !built.is_file() {
        let mut install = cargo(&["install", "--quiet", "--locked", "--debug", DENY, "--root"]);
        step::run("build cargo-deny", install.arg(&tools)).ok()?;
    }
    Some(built).filter(works)
}
