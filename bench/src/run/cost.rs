//! What a generator's load costs a running proxy, and whether the CPUs of both sides were busy meanwhile.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::child::Running;
use super::procfs;
use super::tool::Tool;

/// The cost of a load.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// CPU microseconds of the proxy, a request.
    pub(crate) cpu: f64,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) busy: Busy,
    /// What the generator told.
    pub(crate) report: Value,
}

/// The share of the time for which the proxy was busy, and the generator with the origin, which share a CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    pub(crate) proxy: f64,
    pub(crate) load: f64,
}

/// Runs a generator in two rounds on the same connections, the first to warm up, and takes the cost of the second.
pub(crate) fn costed(proxy: &Running, seconds: f64, words: &[String]) -> Result<Cost> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (mut load, _) = Tool::start(&words)?;
    checked(load.ask(&seconds.min(1.0).to_string())?)?;
    // This process has started all of them: what is not the proxy's is the generator's and the origin's.
    let clocks = || [proxy.id(), std::process::id()].map(procfs::cpu);
    let before = clocks();
    let report = checked(load.ask(&seconds.to_string())?)?;
    let after = clocks();
    let [spent, all] = [0, 1].map(|at| after[at].saturating_sub(before[at]).as_secs_f64());
    let requests = figure(&report, "requests")?;
    let took = figure(&report, "seconds")?;
    Ok(Cost {
        cpu: spent * 1e6 / requests,
        rate: requests / took,
        busy: Busy {
            proxy: spent / took,
            load: (all - spent) / took,
        },
        report,
    })
}

/// The memory of a fresh proxy in bytes, and what each of `count` idle connections adds, which `words` open.
pub(crate) fn idle(mut proxy: Running, count: usize, words: &[String]) -> Result<(f64, f64)> {
    sleep(Duration::from_millis(300));
    let fresh = procfs::memory(proxy.id()) as f64;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (holder, _) = Tool::start(&words)?;
    sleep(Duration::from_secs(1));
    let loaded = procfs::memory(proxy.id()) as f64;
    let closed = holder
        .finish()?
        .get("closed")
        .and_then(Value::as_u64)
        .context("no report of the idle connections")?;
    if proxy.ended()?.is_some() {
        bail!("the proxy ended: {}", proxy.last_words());
    }
    if closed > 0 {
        bail!("{closed} of {count} idle connections were closed");
    }
    Ok((fresh, (loaded - fresh) / count as f64))
}

/// A report with any error in it is itself an error.
pub(crate) fn checked(report: Value) -> Result<Value> {
    let errors = report.get("errors").and_then(Value::as_u64).unwrap_or(0);
    match report.get("first_error").and_then(Value::as_str) {
        Some(why) => bail!("{} errors, first: {why}", errors.max(1)),
        None if errors > 0 => bail!("{errors} requests failed"),
        None => Ok(report),
    }
}

/// A figure of a report that is above zero.
pub(crate) fn figure(report: &Value, name: &str) -> Result<f64> {
    let value = report
        .get(name)
        .and_then(Value::as_f64)
        .with_context(|| format!("the report has no {name}"))?;
    if value > 0.0 {
        Ok(value)
    } else {
        bail!("{name} is {value}")
    }
}

/// The words that start a generator: its name, the port, and flags with their values.
pub(crate) fn generator(name: &str, port: u16, flags: &[(&str, &str)]) -> Vec<String> {
    let flags = flags
        .iter()
        .map(|(flag, value)| format!("--{flag}={value}"));
    [name.to_owned(), format!("--port={port}")]
        .into_iter()
        .chain(flags)
        .collect()
}
