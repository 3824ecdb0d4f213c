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
    if let Some(most) = max_fds() {
        all.push((
            "process_max_fds",
            "Maximum number of open file descriptors.",
            most,
        ));
    }
    if let Some(seconds) = start_time() {
        all.push((
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            seconds,
        ));
    }
    all
}

/// The soft limit (proc_pid_limits(5)).
fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let mut lines = limits.lines();
    let limit = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    limit.split_whitespace().next()?.parse().ok()
}

fn start_time() -> Option<f64> {
    let ticks: f64 = stat_field(19)?.parse().ok()?;
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let mut lines = kernel.lines();
    let boot = lines.find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some(boot + ticks / TICKS)
}

fn cpu_seconds() -> Option<f64> {
    let user: f64 = stat_field(11)?.parse().ok()?;
    let system: f64 = stat_field(12)?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// A field of proc_pid_stat(5). The command's name may hold spaces: they are counted from 0 after its closing bracket.
fn stat_field(index: usize) -> Option<String> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    fields.nth(index).map(str::to_owned)
}

fn status_kib(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
