//! Figures in columns that fit a terminal of 80. Nothing here looks at a clock or a socket.

use std::fmt::Write;
use std::net::SocketAddr;

use proxy_cli::demo::figures::{millis, share, thousands};
use proxy_cli::demo::{self, Sum};

/// The share of its requests that a failing replica fails.
pub(super) const FAILING: f64 = 0.3;

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It answers.
    Serving,
    /// It answers the share [`FAILING`] of its requests with 503.
    Failing,
    /// It is dead.
    Killed,
    /// It answers, and was not there at the start.
    New,
}

impl State {
    /// The share of its requests that it fails.
    pub(super) fn failing(self) -> f64 {
        match self {
            Self::Failing => FAILING,
            Self::Serving | Self::Killed | Self::New => 0.0,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Serving => "serving".into(),
            Self::Failing => format!("fails {:.0} %", FAILING * 100.0),
            Self::Killed => "killed".into(),
            Self::New => "new".into(),
        }
    }
}

/// Whether the ambassador has taken a replica out of the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ejected {
    /// Never.
    No,
    /// At this moment.
    Now,
    /// Earlier; it came back, or it left the name.
    Before,
}

impl Ejected {
    fn text(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Now => "now",
            Self::Before => "before",
        }
    }
}

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What it does.
    pub(super) state: State,
    /// Whether the name leads to it.
    pub(super) in_dns: bool,
    /// Tries that have reached it.
    pub(super) requests: u64,
    /// What the ambassador made of it.
    pub(super) ejected: Ejected,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    /// The replicas.
    pub(super) rows: Vec<Row>,
    /// What the workload saw.
    pub(super) seen: Sum,
    /// Requests that the ambassador sent to replicas.
    pub(super) tries: u64,
    /// How often the ambassador repeated what had failed.
    pub(super) retries: u64,
    /// How often the ambassador took a replica out of the rotation.
    pub(super) ejections: u64,
}

impl demo::Picture for Picture {
    const HEADINGS: &'static str =
        "time   requests  retries    tries  ejections       p50       p99  failures";

    fn line(&self, second: u64) -> String {
        let Picture { seen, .. } = self;
        format!(
            "{:<5}{:>10}{:>9}{:>9}{:>11}{:>10}{:>10}{:>10}",
            format!("t={second}s"),
            thousands(seen.requests),
            thousands(self.retries),
            thousands(self.tries),
            thousands(self.ejections),
            millis(seen.p50),
            millis(seen.p99),
            thousands(seen.failures),
        )
    }

    /// The replicas, then the totals, one a line.
    ///
    /// Once nothing is under way, the tries are the requests and the retries, less the connections that
    /// were refused: what found no connection was retried and had never been a try.
    fn table(&self) -> String {
        let mut text = String::from(
            "replica            state        in DNS    requests     share   ejected\n",
        );
        let all = self.rows.iter().map(|row| row.requests).sum::<u64>();
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<19}{:<13}{:<6}{:>12}{:>10}   {}",
                row.address,
                row.state.text(),
                if row.in_dns { "yes" } else { "no" },
                thousands(row.requests),
                share(row.requests, all),
                row.ejected.text(),
            );
        }
        text.push('\n');
        let totals = [
            ("requests", thousands(self.seen.requests)),
            ("retries", thousands(self.retries)),
            ("tries", thousands(self.tries)),
            ("ejections", thousands(self.ejections)),
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
