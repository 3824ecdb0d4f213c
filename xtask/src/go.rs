//! Programs in Go that tests use: which they are, and how they are built into `target/tools`, where tests look.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::target;
use crate::{is_ci, packages, step};

/// A program, and the version of the package that it is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
}

/// What the black-box tests start.
pub(crate) const FOR_TESTS: [Tool; 1] = [Tool {
    name: "h2spec",
    // Version 2.6.0, which is none to Go, as the name of its module has no `/v2`.
    package: "github.com/summerwind/h2spec/cmd/h2spec@v0.0.0-20200804131034-70ac22940108",
}];

/// Builds the programs that are missing, or of another version, where there is Go.
///
/// A program that cannot be built is an error under CI and a remark elsewhere.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let folder = target()?.join("tools");
    for tool in tools.iter().filter(|tool| !tool.is_in(&folder)) {
        match tool.build(&folder) {
            Err(error) if is_ci() => return Err(error),
            Err(error) => eprintln!("==> what needs {} is left out: {error:#}", tool.name),
            Ok(()) => {}
        }
    }
    Ok(())
}

impl Tool {
    fn is_in(&self, folder: &Path) -> bool {
        let version = fs::read_to_string(folder.join(self.stamp()));
        folder.join(self.name).is_file() && version.is_ok_and(|version| version == self.package)
    }

    /// The file that says what the program was built from.
    fn stamp(&self) -> String {
        format!("{}.version", self.name)
    }

    fn build(&self, folder: &Path) -> Result<()> {
        if packages::find("go").is_none() {
            packages::offer(&["golang-go"])?;
        }
        let Some(go) = packages::find("go") else {
            bail!("there is no Go; install the package golang-go");
        };
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut command = Command::new(go);
        command
            .args(["install", self.package])
            .env("GOFLAGS", "-mod=mod")
            .env("GOBIN", folder);
        step::run(&format!("build {}", self.name), &mut command)?;
        fs::write(folder.join(self.stamp()), self.package)?;
        Ok(())
    }
}
