//! What the kernel says of this process, under the names that Prometheus clients use for it.

use std::fs;

/// Clock ticks a second: fixed by Linux's interface to user space.
const TICKS: f64 = 100.0;

/// Readings of `/proc/self`; a reading that fails is left out.
pub(super) fn readings() -> Vec<(&'static str, &'static str, f64)> {
    let mut all = Vec::new();
    if let Some(seconds) = cpu_seconds() {
        all.push((
            "process_cpu_seconds_total",
            "User and system CPU time spent, in seconds.",
            seconds,
        ));
    }
    if let Some(bytes) = status_kib("VmRSS:") {
        all.push((
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            bytes * 1024.0,
        ));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        all.push((
            "process_open_fds",
            "Number of open file descriptors.",
            open.count() as f64,
        ));
    }
    all
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name may hold spaces: fields are counted after its closing bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn status_kib(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
