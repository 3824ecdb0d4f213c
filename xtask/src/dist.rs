//! `cargo xtask dist`: each role as one static file that needs nothing of the machine it runs on.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{ROLES, cargo, target};
use crate::{profile, step};

/// Where static programs are built, and with what.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) folder: PathBuf,
    pub(crate) compiler: Compiler,
}

/// What is to be known of the compiler.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// The target triple of this machine.
    host: String,
    /// The major version of its LLVM.
    pub(crate) llvm: String,
    /// The version of glibc, whose start-up code becomes part of the program.
    libc: (u32, u32),
    /// Where rustup puts LLVM's tools.
    pub(crate) programs: PathBuf,
}

/// Builds the programs of these roles, or of all, and prints where they are and how large.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (mut guided, mut roles) = (true, Vec::new());
    for word in words {
        match ROLES.iter().find(|role| *role == word) {
            Some(role) => roles.push(*role),
            None if word == "--plain" => guided = false,
            None => bail!(
                "`dist` takes --plain, which builds without a profile, and the roles to build ({}), not `{word}`",
                ROLES.join(", ")
            ),
        }
    }
    if roles.is_empty() {
        roles.extend(ROLES);
    }
    for program in build(guided, &roles)? {
        let mebibytes = fs::metadata(&program)?.len() as f64 / (1024.0 * 1024.0);
        println!("{}: {mebibytes:.1} MiB, static", program.display());
    }
    Ok(())
}

/// Builds the programs of these roles and checks that they are static, each guided by a profile of its own: to the
/// compiler, a library with other features is another library, whose counts it does not take.
pub(crate) fn build(guided: bool, roles: &[&str]) -> Result<Vec<PathBuf>> {
    let build = Build {
        folder: target()?.join("dist"),
        compiler: Compiler::ask()?,
    };
    let built = roles.iter().map(|role| {
        let mut flag = OsString::new();
        if guided && let Some(profile) = profile::take(&build, role)? {
            flag.push("-Cprofile-use=");
            flag.push(profile);
            // What is seldom run is built for size, and not only what never is: the last 1 % of the counts. Among the
            // last 5 %, the default, is what each request runs once.
            flag.push("\x1f-Cllvm-args=-pgso-lwss-only=false");
            flag.push("\x1f-Cllvm-args=-pgso-cutoff-instr-prof=990000");
        }
        checked(build.program(role, "", &flag)?)
    });
    built.collect()
}

/// The program, if it starts and is static.
fn checked(program: PathBuf) -> Result<PathBuf> {
    step::run("start it", Command::new(&program).arg("--version"))?;
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

impl Build {
    /// Builds the program of a role in `below` the folder with one more flag for the compiler.
    ///
    /// The target is named although it is the host, so that the flags do not reach build scripts and
    /// procedural macros, which cannot be static.
    pub(crate) fn program(&self, role: &str, below: &str, flag: &OsStr) -> Result<PathBuf> {
        let (host, folder) = (&self.compiler.host, self.folder.join(below));
        // Separated so that a folder's name may have a space. A program with an optimisation of its
        // own is not stripped by the profile.
        let mut flags = OsString::from("-Ctarget-feature=+crt-static\x1f-Cstrip=symbols");
        for argument in self.compiler.smaller() {
            flags.push(format!("\x1f-Clink-arg=-Wl,{argument}"));
        }
        if !flag.is_empty() {
            flags.push("\x1f");
            flags.push(flag);
        }
        let mut command = cargo(&["build", "--release", "--package", role]);
        command
            .args(["--target", host, "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", flags);
        let what = format!("build the static {role} {below}");
        step::run(what.trim_end(), &mut command)?;
        Ok(folder.join(host).join("release").join(role))
    }
}

impl Compiler {
    /// What makes the linker write less: one copy of functions that are the same, and relocations a
    /// bit each. The former is lld's, the compiler's own linker on x86-64; the latter is resolved by
    /// the start-up code of glibc 2.36 and later.
    fn smaller(&self) -> Vec<&'static str> {
        let mut arguments = Vec::new();
        if self.host.starts_with("x86_64-") {
            arguments.push("--icf=all");
            if self.libc >= (2, 36) {
                arguments.push("-z,pack-relative-relocs");
            }
        }
        arguments
    }

    fn ask() -> Result<Self> {
        let said = |words: &[&str]| heard("rustc", words);
        let version = said(&["-vV"])?;
        let field = |name: &str| {
            let value = version.lines().find_map(|line| line.strip_prefix(name));
            value.with_context(|| format!("rustc -vV says no `{}`", name.trim_end()))
        };
        let host = field("host: ")?.to_owned();
        let llvm = field("LLVM version: ")?;
        let llvm = llvm.split('.').next().unwrap_or(llvm).to_owned();
        let root = PathBuf::from(said(&["--print", "sysroot"])?);
        let programs = root.join("lib").join("rustlib").join(&host).join("bin");
        Ok(Self {
            host,
            llvm,
            libc: libc(),
            programs,
        })
    }
}

/// What a program says.
fn heard(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version of glibc, zero where it cannot be told: `glibc 2.36`.
fn libc() -> (u32, u32) {
    let told = heard("getconf", &["GNU_LIBC_VERSION"]).unwrap_or_default();
    let numbers = told.rsplit(' ').next().and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    numbers.unwrap_or_default()
}

fn shown(program: &Path) -> String {
    program
        .file_name()
        .unwrap_or_default()
        .display()
        .to_string()
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
