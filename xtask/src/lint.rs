//! `cargo xtask lint`: everything that checks the text of the code. All checks run, even after one has failed.

use std::process::Command;

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

/// Checks licences, sources, banned crates and known vulnerabilities with cargo-deny where it is installed.
fn deny() -> Result<()> {
    if !step::succeeds(&mut cargo(&["deny", "--version"])) {
        eprintln!(
            "==> cargo-deny: skipped, it is not installed (cargo install --locked cargo-deny)"
        );
        return Ok(());
    }
    if !root().join("deny.toml").is_file() {
        eprintln!("==> cargo-deny: skipped, there is no deny.toml");
        return Ok(());
    }
    if fetch().status().is_ok_and(|status| status.success()) {
        return step::run("cargo-deny", &mut cargo(&["deny", "check"]));
    }
    let weight = if is_ci() {
        "this run knows nothing of vulnerabilities"
    } else {
        "try again with a network"
    };
    eprintln!("==> cargo-deny: the advisory database cannot be reached; {weight}");
    step::run(
        "cargo-deny without advisories",
        &mut cargo(&["deny", "check", "bans", "licenses", "sources"]),
    )
}

fn fetch() -> Command {
    let mut command = cargo(&["deny", "fetch", "db"]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}
