//! Processes of a measurement: started on a given CPU, asked to stop, killed if they do not.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::procfs;

/// How long a process has to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which CPU serves which side of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    pub(crate) proxy: usize,
    pub(crate) load: usize,
}

impl Cpus {
    /// Moves this process to the load's CPU. Whatever it starts by plain means runs there too.
    pub(crate) fn settle(self) -> Result<()> {
        pin(self.load)
    }
}

/// A running process that is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a proxy on its CPU; what it prints goes to the file `log`.
    pub(crate) fn proxy(command: &[String], cpus: Cpus, log: PathBuf) -> Result<Self> {
        let (program, arguments) = command.split_first().context("an empty command")?;
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        pin(cpus.proxy)?;
        let child = command.spawn();
        pin(cpus.load)?;
        let child = child.with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child, log })
    }

    /// The process id, which is the root of the tree that is measured.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The last line that the process printed, for messages about why it failed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it printed nothing")
            .chars()
            .take(300)
            .collect()
    }

    /// Asks the process to end.
    ///
    /// # Errors
    ///
    /// When it had to be killed: what it writes at its end, such as the counts of a build that counts, is missing then.
    pub(crate) fn end(mut self) -> Result<()> {
        if !self.stop() {
            bail!(
                "it did not end within {} s of SIGTERM and was killed; it said last: {}",
                PATIENCE.as_secs(),
                self.last_words()
            );
        }
        Ok(())
    }

    /// Whether it ended when it was asked to.
    fn stop(&mut self) -> bool {
        let tree = procfs::tree(self.child.id());
        signal(self.child.id(), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Nothing of the tree has been waited for yet, so these ids still mean the same processes.
        tree.into_iter().for_each(|id| signal(id, Signal::KILL));
        let _ = self.child.wait();
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // A process that is gone already needs no signal.
        let _ = kill_process(pid, signal);
    }
}

fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPU {cpu}"))
}

/// Asks for [`real_time`], and says in a sentence what came of it.
pub(crate) fn condition() -> String {
    match real_time() {
        Ok(()) => "Proxy, load and origin ran under SCHED_RR.".to_owned(),
        Err(why) => format!(
            "SCHED_RR is not permitted here ({why}): other work on the machine shows in the figures."
        ),
    }
}

/// Puts this process, and so all that it starts, under the round-robin real-time policy.
///
/// Other work on the machine then cannot take CPU time from a measurement. Returns why not where
/// it is not permitted.
fn real_time() -> Result<(), String> {
    let id = std::process::id().to_string();
    let output = Command::new("chrt")
        .args(["--rr", "--pid", "10", &id])
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("chrt (package util-linux): {error}")),
    }
}
