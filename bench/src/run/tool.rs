//! Starts this program's own origin and generators as processes and reads what they report.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A part of the load side that runs until its standard input is closed.
#[derive(Debug)]
pub(crate) struct Tool {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Tool {
    /// Starts `remora-bench WORDS...` on the CPU of the caller and waits for its first report.
    pub(crate) fn start(words: &[&str]) -> Result<(Self, Value)> {
        let mut child = command(words)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a child without output")?);
        let mut tool = Self {
            child,
            input,
            output,
        };
        let report = tool.report()?;
        Ok((tool, report))
    }

    /// Closes the standard input and returns what the tool says at its end.
    pub(crate) fn finish(mut self) -> Result<Value> {
        self.input = None;
        self.report()
    }

    /// Gives the tool the line that it waits for, and returns what it says then.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        let input = self.input.as_mut().context("the load side has ended")?;
        writeln!(input, "{line}")?;
        self.report()
    }

    fn report(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            bail!("the load side failed: {}", self.child.wait()?);
        }
        serde_json::from_str(&line).context("the load side printed no report")
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.output.read_to_end(&mut Vec::new());
        let _ = self.child.wait();
    }
}

/// Runs `remora-bench WORDS...` to its end and returns its report.
pub(crate) fn run(words: &[&str]) -> Result<Value> {
    let output = command(words)?
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "the generator failed: {}",
            text.lines().next().unwrap_or("without a word")
        );
    }
    serde_json::from_slice(&output.stdout).context("the generator printed no report")
}

fn command(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("load").args(words);
    Ok(command)
}
