//! The cargo commands of this workspace and where their results lie.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// The package and program of the outbound proxy.
pub(crate) const AMBASSADOR: &str = "ambassador";

/// The package and program of the inbound proxy.
pub(crate) const SIDECAR: &str = "sidecar";

/// The package and program of the gateway.
pub(crate) const INGRESS: &str = "ingress";

/// The packages of all roles; each has one program of the same name.
pub(crate) const ROLES: [&str; 3] = [AMBASSADOR, SIDECAR, INGRESS];

/// `cargo WORDS...` in the root of the workspace.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(words);
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The folder that cargo builds into, wherever it has been moved.
pub(crate) fn target() -> Result<PathBuf> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = text
        .split_once(r#""target_directory":""#)
        .and_then(|(_, rest)| rest.split_once('"'));
    let (folder, _) = value.context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(folder))
}

/// Builds the programs of all roles in the development profile, and returns where each is.
pub(crate) fn programs() -> Result<Vec<(&'static str, PathBuf)>> {
    let mut command = cargo(&["build"]);
    for role in ROLES {
        command.args(["--package", role]);
    }
    step::run("build the programs", &mut command)?;
    let folder = target()?.join("debug");
    let program = |role| {
        let program = folder.join(role);
        if !program.is_file() {
            bail!("the {role} was built, but not to {}", program.display());
        }
        Ok((role, program))
    };
    ROLES.into_iter().map(program).collect()
}

/// Runs the demonstration of a role: that of the first word, or else the ambassador's.
pub(crate) fn demo(words: &[String]) -> Result<()> {
    let (role, words) = match words.split_first() {
        Some((role, rest)) if ROLES.contains(&role.as_str()) => (role.as_str(), rest),
        _ => (AMBASSADOR, words),
    };
    let mut command = cargo(&["run", "--release", "--package", role, "--", "demo"]);
    step::run("demo", command.args(words))
}
