//! `cargo xtask dist`: the ambassador as one static file that needs nothing of the machine it runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{AMBASSADOR, cargo, target};
use crate::step;

/// Builds the program and prints where it is and how large.
pub(crate) fn run() -> Result<()> {
    let program = build()?;
    let mebibytes = fs::metadata(&program)?.len() as f64 / (1024.0 * 1024.0);
    println!("{}: {mebibytes:.1} MiB, static", program.display());
    Ok(())
}

/// Builds the program and checks that it is static.
///
/// The target is named although it is the host, so that the flags do not reach build scripts and
/// procedural macros, which cannot be static.
pub(crate) fn build() -> Result<PathBuf> {
    let (host, folder) = (host()?, target()?.join("dist"));
    let mut command = cargo(&[
        "build",
        "--release",
        "--package",
        AMBASSADOR,
        "--target",
        &host,
    ]);
    command
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    step::run("build the static ambassador", &mut command)?;
    let program = folder.join(host).join("release").join(AMBASSADOR);
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    match interpreter(&bytes) {
        Some(false) => Ok(program),
        Some(true) => bail!(
            "{} is not static: it names a dynamic loader",
            program.display()
        ),
        None => bail!("{} is not a 64-bit little-endian ELF file", shown(&program)),
    }
}

fn shown(program: &Path) -> String {
    program
        .file_name()
        .unwrap_or_default()
        .display()
        .to_string()
}

/// The target triple of this machine.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// Whether an ELF file asks for a dynamic loader: whether it has a program header of type `PT_INTERP`.
fn interpreter(file: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let short = |at: usize| {
        file.get(at..at + 2)?
            .try_into()
            .ok()
            .map(u16::from_le_bytes)
    };
    let word = |at: usize| {
        file.get(at..at + 4)?
            .try_into()
            .ok()
            .map(u32::from_le_bytes)
    };
    let long = |at: usize| {
        file.get(at..at + 8)?
            .try_into()
            .ok()
            .map(u64::from_le_bytes)
    };
    // Offsets of e_phoff, e_phentsize and e_phnum in the 64-bit file header, elf(5).
    let (start, size, count) = (
        long(32)? as usize,
        usize::from(short(54)?),
        usize::from(short(56)?),
    );
    (0..count)
        .map(|index| word(start + index * size))
        .try_fold(false, |found, kind| Some(found || kind? == PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::interpreter;

    #[test]
    fn a_dynamic_program_is_told_from_other_files() {
        let own = std::env::current_exe()
            .and_then(std::fs::read)
            .expect("this program");
        assert_eq!(interpreter(&own), Some(true));
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(interpreter(b"\x7fELF\x02\x01"), None);
    }
}
