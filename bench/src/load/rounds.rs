//! Rounds of a generator that keeps its connections from one to the next, so that what opening them costs stays out of what is measured.

use std::io::stdin;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Prints `{"open"}` and then, for each line of standard input, runs for that many seconds and prints the report.
pub(super) fn rounds(mut round: impl FnMut(Duration) -> Result<Value>) -> Result<()> {
    println!("{}", json!({"open": true}));
    for line in stdin().lines() {
        let seconds = line?.trim().parse().ok();
        let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let length = seconds.context("a round is a number of seconds")?;
        println!("{}", round(length)?);
    }
    Ok(())
}
