//! The figures as an SVG chart: for each metric the proxies' ratios to HAProxy as bars, shorter is better.
//!
//! Colours follow the reader's light or dark preference, and every bar carries its number, so that
//! the chart can be read without telling colours apart. A bar past the scale is cut and says so.

use std::fmt::Write;

use super::summary::{Cell, Summary};

/// Where the scale ends.
const LIMIT: f64 = 3.0;
const BAR: f64 = 13.0;
const GAP: f64 = 14.0;
const LEFT: f64 = 250.0;
const SCALE: f64 = 420.0;
const TOP: f64 = 64.0;

pub(crate) const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}.small{font-size:11px}
.line{stroke:#8c959f;stroke-dasharray:3 3}.p0{fill:#0969da}.p1{fill:#8c959f}.p2{fill:#1a7f37}.p3{fill:#9a6700}.p4{fill:#8250df}.p5{fill:#bf3989}
.back{fill:#ffffff}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.line{stroke:#6e7681}.back{fill:#0d1117}
.p0{fill:#4493f8}.p1{fill:#9198a1}.p2{fill:#3fb950}.p3{fill:#d29922}.p4{fill:#ab7df8}.p5{fill:#db61a2}}";

/// Draws the chart; it is empty but for its title where HAProxy was not measured.
pub(super) fn draw(summary: &Summary) -> String {
    let mut body = String::new();
    let mut y = TOP;
    let rows = summary
        .rows
        .iter()
        .filter(|row| row.metric.shown().less_is_better);
    for row in rows.filter(|row| row.cells.iter().flatten().any(|cell| cell.ratio.is_some())) {
        let height = row.cells.len() as f64 * BAR;
        let middle = y + height / 2.0 + 4.0;
        let title = escape(row.metric.shown().title);
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{middle:.1}" text-anchor="end">{title}</text>"#,
            LEFT - 10.0
        );
        for (index, cell) in row.cells.iter().enumerate() {
            if let Some(cell) = cell {
                let text = row.metric.text(cell.median);
                bar(&mut body, y + index as f64 * BAR, index, cell, &text);
            }
        }
        y += height + GAP;
    }
    frame(summary, &body, y)
}

fn bar(body: &mut String, y: f64, index: usize, cell: &Cell, text: &str) {
    let Some(ratio) = cell.ratio else { return };
    let length = ratio.clamp(0.0, LIMIT) / LIMIT * SCALE;
    let more = if ratio > LIMIT { " (cut)" } else { "" };
    let _ = writeln!(
        body,
        r#"<rect class="p{}" x="{LEFT}" y="{y:.1}" width="{length:.1}" height="{:.1}"/><text class="small" x="{:.1}" y="{:.1}">{ratio:.2}{more} = {text}</text>"#,
        index % 6,
        BAR - 2.0,
        LEFT + length + 5.0,
        y + BAR - 3.5,
    );
}

/// Puts title, legend and the line of HAProxy's own figure around the bars.
fn frame(summary: &Summary, body: &str, bottom: f64) -> String {
    let (width, height) = (LEFT + SCALE + 160.0, bottom + 10.0);
    let one = LEFT + SCALE / LIMIT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" \
         aria-label=\"Ratios to HAProxy\">\n<style>{STYLE}</style>\n<rect class=\"back\" width=\"{width}\" height=\"{height:.0}\"/>\n\
         <text class=\"title\" x=\"10\" y=\"22\">Ratio to HAProxy, shorter is better</text>\n"
    );
    for (index, proxy) in summary.proxies.iter().enumerate() {
        let x = 10 + index * 130;
        let _ = writeln!(
            svg,
            r#"<rect class="p{}" x="{x}" y="34" width="12" height="12"/><text x="{}" y="44">{}</text>"#,
            index % 6,
            x + 17,
            escape(proxy),
        );
    }
    let _ = writeln!(
        svg,
        r#"<line class="line" x1="{one:.1}" y1="{:.1}" x2="{one:.1}" y2="{:.1}"/>"#,
        TOP - 6.0,
        bottom - GAP
    );
    svg + body + "</svg>\n"
}

/// The text with what SVG would take for markup written otherwise.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
