//! The measurements of a run as they come in: each is shown and kept, or refused with its reason.

use std::path::PathBuf;

use anyhow::Result;

use super::outcome::{Figures, Invalid, Sample};

/// What was measured so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Where the proxies' files are.
    dir: PathBuf,
    reps: usize,
    pub(crate) samples: Vec<Sample>,
    pub(crate) invalid: Vec<Invalid>,
}

impl Ledger {
    /// An empty one for so many repetitions.
    pub(crate) fn new(dir: PathBuf, reps: usize) -> Self {
        Self {
            dir,
            reps,
            samples: Vec::new(),
            invalid: Vec::new(),
        }
    }

    /// Shows a measurement and keeps it.
    pub(crate) fn book(
        &mut self,
        rep: usize,
        proxy: &str,
        scenario: &str,
        measured: Result<Figures>,
    ) {
        let figures = match measured {
            Ok(figures) => figures,
            Err(error) => return self.refuse(rep, proxy, scenario, &error),
        };
        let texts: Vec<String> = figures
            .iter()
            .map(|(metric, value)| metric.text(*value))
            .collect();
        self.tell(rep, proxy, scenario, &texts.join("  "));
        let samples = figures.into_iter().map(|(metric, value)| Sample {
            rep,
            proxy: proxy.to_owned(),
            metric,
            value,
        });
        self.samples.extend(samples);
    }

    /// Shows why a measurement does not count, and keeps that.
    pub(crate) fn refuse(
        &mut self,
        rep: usize,
        proxy: &str,
        scenario: &str,
        error: &anyhow::Error,
    ) {
        // What a proxy says of its own files is for readers who keep theirs elsewhere.
        let why = format!("{error:#}").replace(&self.dir.display().to_string(), "...");
        self.tell(rep, proxy, scenario, &format!("INVALID: {why}"));
        self.invalid.push(Invalid {
            rep: rep + 1,
            proxy: proxy.to_owned(),
            scenario: scenario.to_owned(),
            why,
        });
    }

    /// Shows a line of a repetition.
    pub(crate) fn tell(&self, rep: usize, proxy: &str, scenario: &str, text: &str) {
        let reps = self.reps;
        eprintln!("[{}/{reps}] {proxy:<12} {scenario:<13} {text}", rep + 1);
    }

    /// Where a proxy's output goes.
    pub(crate) fn log(&self, proxy: &str) -> PathBuf {
        self.dir.join(format!("{proxy}.log"))
    }
}
