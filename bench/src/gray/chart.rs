//! The lines as an SVG chart: for each fault the proxies' p99 over their own without a fault, as bars on a logarithmic scale.
//!
//! Every bar carries its number and the share of failed requests, so that the chart can be read
//! without telling colours apart.

use std::fmt::Write;

use super::summary::{Line, SLOWER};
use crate::load::gray::Fault;
use crate::report::chart::{STYLE, escape};

/// Where the scale ends.
const LIMIT: f64 = 2000.0;
const BAR: f64 = 15.0;
const GAP: f64 = 16.0;
const LEFT: f64 = 90.0;
const SCALE: f64 = 420.0;
const WIDTH: f64 = LEFT + SCALE + 280.0;
const TOP: f64 = 64.0;

/// Draws the chart.
pub(super) fn draw(lines: &[Line], proxies: &[String]) -> String {
    let mut body = String::new();
    let mut y = TOP;
    let faults = Fault::ALL
        .into_iter()
        .filter(|fault| *fault != Fault::Healthy);
    for fault in faults {
        let own: Vec<&Line> = lines.iter().filter(|line| line.fault == fault).collect();
        if own.is_empty() {
            continue;
        }
        let height = own.len() as f64 * BAR;
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 10.0,
            y + height / 2.0 + 4.0,
            escape(&fault.name()),
        );
        for line in own {
            let index = proxies.iter().position(|proxy| *proxy == line.proxy);
            bar(&mut body, y, index.unwrap_or(0), line);
            y += BAR;
        }
        y += GAP;
    }
    frame(proxies, &body, y)
}

fn bar(body: &mut String, y: f64, index: usize, line: &Line) {
    let Some(ratio) = line.ratio else { return };
    let length = place(ratio);
    let _ = writeln!(
        body,
        r#"<rect class="p{}" x="{LEFT}" y="{y:.1}" width="{length:.1}" height="{:.1}"/><text class="small" x="{:.1}" y="{:.1}">{ratio:.1} = {:.1} ms, {:.2} % failed</text>"#,
        index % 6,
        BAR - 2.0,
        LEFT + length + 5.0,
        y + BAR - 4.0,
        line.judged.p99,
        line.judged.failed * 100.0,
    );
}

/// How far from the left a ratio is; one below 1 has the shortest bar.
fn place(ratio: f64) -> f64 {
    (ratio.clamp(1.0, LIMIT).ln() / LIMIT.ln() * SCALE).max(3.0)
}

/// Puts title, legend and the line of the target around the bars.
fn frame(proxies: &[String], body: &str, bottom: f64) -> String {
    let height = bottom + 10.0;
    let title = "p99 while an endpoint fails, over p99 without a fault (logarithmic)";
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
         aria-label=\"{title}\">\n<style>{STYLE}</style>\n<rect class=\"back\" width=\"{WIDTH}\" height=\"{height:.0}\"/>\n\
         <text class=\"title\" x=\"10\" y=\"22\">{title}</text>\n"
    );
    for (index, proxy) in proxies.iter().enumerate() {
        let x = 10 + index * 150;
        let _ = writeln!(
            svg,
            r#"<rect class="p{}" x="{x}" y="34" width="12" height="12"/><text x="{}" y="44">{}</text>"#,
            index % 6,
            x + 17,
            escape(proxy),
        );
    }
    let two = LEFT + place(SLOWER);
    let _ = writeln!(
        svg,
        r#"<line class="line" x1="{two:.1}" y1="{:.1}" x2="{two:.1}" y2="{:.1}"/>"#,
        TOP - 6.0,
        bottom - GAP
    );
    svg + body + "</svg>\n"
}
