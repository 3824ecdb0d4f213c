//! CPU time and memory of a process and its descendants, read from `/proc`.

use std::fs;
use std::time::Duration;

/// `root` and all its descendants.
pub(super) fn tree(root: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = ids
        .filter_map(|id| Some((id, stat(id)?.get(1)?.parse().ok()?)))
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(id, _)| *id),
        );
        next += 1;
    }
    tree
}

/// The CPU time, user and system, that the tree's processes have used with all their threads.
///
/// The kernel counts it in ticks of usually 10 ms, so a measurement should span at least a hundred.
pub(super) fn cpu(root: u32) -> Duration {
    let ticks: u64 = tree(root)
        .into_iter()
        .filter_map(stat)
        .filter_map(|fields| ticks(&fields))
        .sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The proportional set size of the tree in bytes: its private memory and its share of what is shared.
pub(super) fn memory(root: u32) -> u64 {
    tree(root).into_iter().filter_map(pss).sum()
}

/// CPU time of the whole machine since it started, in ticks: what its host took from it, and all of it.
///
/// The columns are those of the first line of proc_stat(5), of which the eighth is "steal".
pub(crate) fn stolen() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let columns: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|word| word.parse().ok())
        .collect();
    (columns.get(7).copied().unwrap_or(0), columns.iter().sum())
}

/// The fields of `/proc/ID/stat` from the third (state) on: the second may contain blanks.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// utime and stime, fields 14 and 15 of proc_pid_stat(5).
fn ticks(fields: &[String]) -> Option<u64> {
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(field(14)? + field(15)?)
}

fn pss(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
