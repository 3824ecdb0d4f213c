//! `cargo xtask test`: everything that checks behaviour, from unit tests to the built program.

use anyhow::Result;

use crate::cargo::{cargo, programs};
use crate::{go, packages, step};

/// Installs what is missing, builds the programs and the library's examples, and runs the workspace's tests with them.
///
/// The tests find the programs by `REMORA_AMBASSADOR` and `REMORA_SIDECAR`, and the examples beside themselves.
pub(crate) fn run(words: &[String]) -> Result<()> {
    packages::ensure(&packages::FOR_TESTS)?;
    go::ensure(&go::FOR_TESTS)?;
    let programs = programs()?;
    // Of the whole workspace, as the tests are: so both are built with the same features, once.
    step::run(
        "build the examples",
        &mut cargo(&["build", "--workspace", "--examples"]),
    )?;
    let mut command = cargo(&["test", "--workspace"]);
    if !words.iter().any(|word| word == "--no-fail-fast") {
        // One failure must not hide another.
        command.arg("--no-fail-fast");
    }
    command.args(words);
    for (role, program) in programs {
        command.env(format!("REMORA_{}", role.to_ascii_uppercase()), program);
    }
    step::run("test", &mut command)
}
