//! The figures as a table, for a terminal and for a Markdown page.

use super::summary::{Cell, Row, Summary};
use crate::metric::Metric;

/// Columns aligned with blanks: median, ratio to HAProxy and the spread.
pub(super) fn terminal(summary: &Summary) -> String {
    let mut lines = vec![
        std::iter::once(String::new())
            .chain(summary.proxies.iter().cloned())
            .collect::<Vec<_>>(),
    ];
    lines.extend(
        summary
            .rows
            .iter()
            .map(|row| cells(row, |text, spread| format!("{text} {spread}"))),
    );
    aligned(&lines)
}

/// Lines of as many cells each, in columns.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let pad = |line: &Vec<String>| {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(pad).collect::<Vec<_>>().join("\n")
}

/// A Markdown table with the same content.
pub(super) fn markdown(summary: &Summary) -> String {
    let mut lines = vec![format!("| | {} |", summary.proxies.join(" | "))];
    lines.push(format!("|---|{}", "---|".repeat(summary.proxies.len())));
    let row = |row| cells(row, |text, spread| format!("**{text}** {spread}")).join(" | ");
    lines.extend(summary.rows.iter().map(|one| format!("| {} |", row(one))));
    lines.push(
        "\nEach cell: the median, (the median of its ratios to HAProxy in each repetition), lowest..highest.".to_owned(),
    );
    lines.join("\n")
}

/// The title of a row and its cells, each joined from the median and the rest by `join`.
fn cells(row: &Row, join: impl Fn(String, String) -> String) -> Vec<String> {
    let text = |cell: &Option<Cell>| {
        cell.map_or_else(
            || "-".to_owned(),
            |cell| join(row.metric.text(cell.median), rest(row.metric, cell)),
        )
    };
    let title = row.metric.shown().title.to_owned();
    std::iter::once(title)
        .chain(row.cells.iter().map(text))
        .collect()
}

fn rest(metric: Metric, cell: Cell) -> String {
    let ratio = cell
        .ratio
        .map_or_else(String::new, |ratio| format!("({ratio:.2}) "));
    if cell.min == cell.max {
        return ratio.trim_end().to_owned();
    }
    format!(
        "{ratio}{}..{}",
        metric.text(cell.min),
        metric.text(cell.max)
    )
}
