//! Figures in columns that fit a terminal of 80. Nothing here looks at a clock or a socket.

use std::fmt::Write;

use proxy_cli::demo::figures::{millis, thousands};
use proxy_cli::demo::{self, Sum};

use super::caller;

/// One caller.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// What it is called.
    pub(super) name: &'static str,
    /// Whose certificate it shows.
    pub(super) certificate: &'static str,
    /// The host that it asks for.
    pub(super) host: &'static str,
    /// The version of HTTP that it speaks, as ALPN names it.
    pub(super) alpn: &'static str,
    /// What has become of its calls.
    pub(super) sum: caller::Sum,
    /// Who it is to the workload.
    pub(super) told: String,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    /// The callers.
    pub(super) rows: Vec<Row>,
    /// What those of them saw that are let in.
    pub(super) seen: Sum,
    /// Whether the workload passes its health check.
    pub(super) is_well: bool,
    /// Whether the sidecar is ready.
    pub(super) is_ready: bool,
}

impl Picture {
    fn total(&self, of: impl Fn(&caller::Sum) -> u64) -> String {
        thousands(self.rows.iter().map(|row| of(&row.sum)).sum())
    }
}

impl demo::Picture for Picture {
    const HEADINGS: &'static str =
        "time  workload  sidecar    requests  refused       p50       p99  failures";

    fn line(&self, second: u64) -> String {
        format!(
            "{:<6}{:<10}{:<10}{:>9}{:>9}{:>10}{:>10}{:>10}",
            format!("t={second}s"),
            health(self.is_well),
            readiness(self.is_ready),
            thousands(self.seen.requests),
            self.total(|sum| sum.refused),
            millis(self.seen.p50),
            millis(self.seen.p99),
            thousands(self.seen.failures),
        )
    }

    /// The callers, then the totals, one a line.
    fn table(&self) -> String {
        let mut text = String::from(
            "caller    certificate host        HTTP  requests  refused  the workload is told\n",
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<10}{:<12}{:<12}{:<4}{:>10}{:>9}  {}",
                row.name,
                row.certificate,
                row.host,
                row.alpn.trim_start_matches(['h', 't', 'p', '/']),
                thousands(row.sum.requests),
                thousands(row.sum.refused),
                row.told,
            );
        }
        text.push('\n');
        let totals = [
            ("workload", health(self.is_well).to_owned()),
            ("sidecar", readiness(self.is_ready).to_owned()),
            ("connections", self.total(|sum| sum.connections)),
            ("resumed", self.total(|sum| sum.resumed)),
            ("refused", self.total(|sum| sum.refused)),
            ("requests", thousands(self.seen.requests)),
            ("p50", millis(self.seen.p50)),
            ("p99", millis(self.seen.p99)),
            ("failures", thousands(self.seen.failures)),
        ];
        for (name, figure) in totals {
            let _ = writeln!(text, "{name:<12}{figure:>10}");
        }
        text
    }
}

fn health(is_well: bool) -> &'static str {
    if is_well { "well" } else { "ill" }
}

fn readiness(is_ready: bool) -> &'static str {
    if is_ready { "ready" } else { "not ready" }
}
