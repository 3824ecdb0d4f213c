//! Figures in columns that fit a terminal of 80. Nothing here looks at a clock or a socket.

use std::collections::BTreeMap;
use std::fmt::Write;

use proxy_cli::demo::figures::{millis, thousands};
use proxy_cli::demo::{self, Sum};

use super::caller::Kind;
use super::ingress::Counts;

/// One caller.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What it is, and asks for.
    pub(super) kind: &'static Kind,
    /// Who has answered it, and how often.
    pub(super) answers: BTreeMap<String, u64>,
}

/// Everything at one moment.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// The callers.
    pub(super) rows: Vec<Row>,
    /// What the callers saw.
    pub(super) seen: Sum,
    /// What the ingress counted.
    pub(super) counts: Counts,
}

impl demo::Picture for Picture {
    const HEADINGS: &'static str =
        "time   requests  retries  ejections  reloads       p50       p99  failures";

    fn line(&self, second: u64) -> String {
        let Self { seen, counts, .. } = self;
        format!(
            "{:<5}{:>10}{:>9}{:>11}{:>9}{:>10}{:>10}{:>10}",
            format!("t={second}s"),
            thousands(seen.requests),
            thousands(counts.retries),
            thousands(counts.ejections),
            thousands(counts.reloads),
            millis(seen.p50),
            millis(seen.p99),
            thousands(seen.failures),
        )
    }

    /// The callers, then the totals, one a line.
    fn table(&self) -> String {
        let mut text = String::from("caller  asks for                        HTTP  answered by\n");
        for Row { kind, answers } in &self.rows {
            let version = kind.version.map(|version| format!(" ({version})"));
            let asks = format!("{}{}{}", kind.host, kind.path, version.unwrap_or_default());
            let answers = answers.iter();
            let answers = answers.map(|(name, count)| format!("{name} {}", thousands(*count)));
            let answers = answers.collect::<Vec<_>>().join(", ");
            let _ = writeln!(
                text,
                "{:<8}{asks:<32}{:<4}  {answers}",
                kind.name,
                kind.alpn.trim_start_matches(['h', 't', 'p', '/']),
            );
        }
        text.push('\n');
        let totals = [
            ("requests", thousands(self.seen.requests)),
            ("retries", thousands(self.counts.retries)),
            ("ejections", thousands(self.counts.ejections)),
            ("reloads", thousands(self.counts.reloads)),
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
