//! The lines as a table, for a terminal and for a Markdown page.

use super::summary::{Line, Span};
use crate::load::gray::Fault;
use crate::report::aligned;

const HEAD: [&str; 10] = [
    "fault",
    "proxy",
    "failed",
    "p50, ms",
    "p99, ms",
    "to its healthy p99",
    "tries a request",
    "to the third",
    "first 2 s: failed, p99 ms",
    "target",
];

/// Columns aligned with blanks.
pub(super) fn terminal(lines: &[Line]) -> String {
    let head = HEAD.map(str::to_owned).to_vec();
    let rows = lines.iter().map(|line| cells(line).to_vec());
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// A Markdown table with the same content.
pub(super) fn markdown(lines: &[Line]) -> String {
    let mut rows = vec![
        format!("| {} |", HEAD.join(" | ")),
        format!("|{}", "---|".repeat(HEAD.len())),
    ];
    rows.extend(
        lines
            .iter()
            .map(|line| format!("| {} |", cells(line).join(" | "))),
    );
    rows.join("\n")
}

fn cells(line: &Line) -> [String; HEAD.len()] {
    let ratio = match (line.ratio, line.spread) {
        (Some(ratio), Some((low, high))) if low < high => {
            format!("{ratio:.2} ({low:.2}..{high:.2})")
        }
        (Some(ratio), _) => format!("{ratio:.2}"),
        _ => "-".to_owned(),
    };
    [
        line.fault.name(),
        line.proxy.clone(),
        percent(line.judged),
        format!("{:.2}", line.judged.p50),
        format!("{:.2}", line.judged.p99),
        ratio,
        format!("{:.3}", line.amplification),
        format!("{:.1} %", line.third * 100.0),
        format!("{}, {:.1}", percent(line.onset), line.onset.p99),
        match (line.fault, line.is_met()) {
            (Fault::Healthy, _) => "-",
            (_, true) => "met",
            (_, false) => "missed",
        }
        .to_owned(),
    ]
}

fn percent(span: Span) -> String {
    format!("{:.3} %", span.failed * 100.0)
}
