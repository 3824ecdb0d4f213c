//! What holds while something is measured: the CPU and the policy of the load, open files, and what the machine's host takes.

use anyhow::Result;

use super::child::{Cpus, condition};
use super::prepare::raise_file_limit;
use super::procfs;

/// A run that has begun.
#[derive(Debug)]
pub(crate) struct Conditions {
    stolen: u64,
    total: u64,
}

impl Conditions {
    /// Makes them for this process and all that it starts from now on, and notes and prints what they are.
    pub(crate) fn begin(cpus: Cpus, notes: &mut Vec<String>) -> Result<Self> {
        raise_file_limit()?;
        if cpus.proxy == cpus.load {
            notes.push(
                "Proxy and load share one CPU: throughput and latency mean little.".to_owned(),
            );
        }
        notes.push(condition());
        cpus.settle()?;
        notes.iter().for_each(|note| eprintln!("{note}"));
        let (stolen, total) = procfs::stolen();
        Ok(Self { stolen, total })
    }

    /// Notes what the machine's host took since then.
    pub(crate) fn end(self, notes: &mut Vec<String>) {
        let (stolen, total) = procfs::stolen();
        let share = 100.0 * (stolen - self.stolen) as f64 / (total - self.total).max(1) as f64;
        notes.push(format!(
            "The machine's host took {share:.1} % of its CPU time meanwhile (steal)."
        ));
    }
}
