//! The profile that guides the static build: what the program did under the bench's load and in its demonstration.
//!
//! A compiler that knows which way branches go keeps the path of a request together, and what is
//! seldom needed apart. See "Profile-guided Optimization" in the rustc book.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{AMBASSADOR, INGRESS, cargo, target};
use crate::dist::Build;
use crate::{is_ci, packages, step};

/// Builds the program of a role that counts, runs it, and returns the profile; none where the tool that merges
/// counts is missing. A profile of the same program and the same bench is taken again.
pub(crate) fn take(build: &Build, role: &str) -> Result<Option<PathBuf>> {
    let Some(merger) = merger(build)? else {
        return Ok(None);
    };
    let counts = build.folder.join("counts");
    let mut generate = OsString::from("-Cprofile-generate=");
    generate.push(&counts);
    let program = build.program(role, "counting", &generate)?;
    let bench = bench()?;
    let name = format!("{:016x}.profdata", fingerprint(&program, &bench)?);
    let profile = build.folder.join(name);
    if profile.is_file() {
        return Ok(Some(profile));
    }
    if counts.exists() {
        fs::remove_dir_all(&counts)
            .with_context(|| format!("cannot empty {}", counts.display()))?;
    }
    train(build, role, &program, &bench)?;
    let mut merge = Command::new(merger);
    merge
        .arg("merge")
        .arg("--output")
        .arg(&profile)
        .arg(&counts);
    step::run("merge what was counted", &mut merge)?;
    Ok(Some(profile))
}

/// Builds the bench, which drives the program that counts.
fn bench() -> Result<PathBuf> {
    let mut command = cargo(&["build", "--release", "--package", "remora-bench"]);
    step::run("build the bench", &mut command)?;
    Ok(target()?.join("release").join("remora-bench"))
}

/// Runs the bench's loads, then the demonstration: that has the retries, the ejections and the names.
/// The edge is driven inside TLS.
fn train(build: &Build, role: &str, program: &Path, bench: &Path) -> Result<()> {
    let mut load = Command::new(bench);
    let binary = format!("--{role}");
    match role {
        AMBASSADOR => load.arg("--binary"),
        _ => load.args(["tls", &binary]),
    };
    load.arg(program)
        .args(["--proxies", role, "--reps", "1", "--seconds", "1"])
        .env("REMORA_BENCH_DIR", build.folder.join("training"));
    step::run(
        "count under the bench's load (its figures mean nothing)",
        &mut load,
    )?;
    let mut demo = Command::new(program);
    step::run(
        "count in the demonstration",
        demo.arg("demo").stdout(Stdio::null()),
    )?;
    if role != INGRESS {
        return Ok(());
    }
    // A gateway reads thousands of routes at each reload: so often that the compiler takes it to matter beside the load.
    let file = build.folder.join("routes.yaml");
    fs::write(&file, routes()).with_context(|| format!("cannot write {}", file.display()))?;
    for _ in 0..20 {
        let mut check = Command::new(program);
        check.arg("check").arg("--config").arg(&file);
        step::run(
            "count while many routes are read",
            check.stdout(Stdio::null()),
        )?;
    }
    Ok(())
}

/// A configuration of routes of several kinds to many hosts.
fn routes() -> String {
    let mut text = "ingress:\n  web:\n    listen: 127.0.0.1:0\n    routes:\n".to_owned();
    for host in 0..1000 {
        let to = format!("http://127.0.0.1:{}", 20_000 + host);
        text += &format!(
            "      shop-{host}.example: {to}\n      \
             shop-{host}.example/api: {{to: '{to}', rewrite: {{prefix: /}}}}\n      \
             shop-{host}.example=/healthz: {{respond: {{status: 200, body: ok}}}}\n      \
             POST shop-{host}.example/cart: {to}\n      \
             shop-{host}.example/cart#b-{host}: {{to: '{to}', when: {{headers: {{x-version: b}}}}}}\n",
        );
    }
    text
}

/// The `llvm-profdata` of the compiler's own LLVM: another one's may not know the format.
fn merger(build: &Build) -> Result<Option<PathBuf>> {
    let major = &build.compiler.llvm;
    let package = format!("llvm-{major}");
    let with_rustup = build.compiler.programs.join("llvm-profdata");
    if with_rustup.is_file() {
        return Ok(Some(with_rustup));
    }
    let installed = || packages::find(&format!("llvm-profdata-{major}"));
    if installed().is_none() {
        packages::offer(&[&package])?;
    }
    let found = installed();
    if found.is_none() {
        let remedy = format!(
            "the build is not guided by a profile: no llvm-profdata of LLVM {major} \
             (rustup component add llvm-tools, or the package {package})"
        );
        if is_ci() {
            bail!(remedy);
        }
        eprintln!("==> {remedy}");
    }
    Ok(found)
}

/// Tells one program, and what it is trained with, from another.
fn fingerprint(program: &Path, bench: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in [program, bench] {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        hasher.write(&bytes);
    }
    hasher.write(routes().as_bytes());
    Ok(hasher.finish())
}
