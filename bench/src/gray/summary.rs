//! What all repetitions of a fault with a proxy say together.

use serde_json::{Value, json};

use super::run::{Measured, Outcome};
use crate::load::gray::Fault;
use crate::report::median;

/// The most requests that may fail, as a share of all.
pub(super) const FAILED: f64 = 0.001;
/// The most times that p99 may be as long as without a fault.
pub(super) const SLOWER: f64 = 2.0;

/// One fault with one proxy: counts over all repetitions, medians of their times.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) fault: Fault,
    pub(super) proxy: String,
    pub(super) judged: Span,
    pub(super) onset: Span,
    /// The median of p99 over the lowest without a fault: what else the machine does only adds to that.
    pub(super) ratio: Option<f64>,
    /// The lowest and the highest of those.
    pub(super) spread: Option<(f64, f64)>,
    /// Requests at the endpoints for one of the caller's.
    pub(super) amplification: f64,
    /// The share of them that went to the failing endpoint.
    pub(super) third: f64,
}

/// A span of time over all repetitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The share of the requests that failed.
    pub(super) failed: f64,
    /// Milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Line {
    /// Whether the fault stayed within what is asked for.
    pub(super) fn is_met(&self) -> bool {
        self.judged.failed <= FAILED && self.ratio.is_some_and(|ratio| ratio <= SLOWER)
    }

    pub(super) fn json(&self) -> Value {
        let span =
            |span: Span| json!({"failed": span.failed, "p50_ms": span.p50, "p99_ms": span.p99});
        json!({
            "fault": self.fault.name(), "proxy": self.proxy, "judged": span(self.judged),
            "first_seconds": span(self.onset), "p99_ratio": self.ratio, "p99_ratio_spread": self.spread,
            "tries_a_request": self.amplification, "share_of_the_third": self.third, "met": self.is_met(),
        })
    }
}

/// All lines, by fault and then by proxy.
pub(super) fn lines(outcome: &Outcome) -> Vec<Line> {
    let faults = outcome.faults.iter();
    let pairs = faults.flat_map(|fault| outcome.peers.iter().map(|peer| (*fault, &peer.name)));
    pairs
        .filter_map(|(fault, proxy)| line(&outcome.measured, fault, proxy))
        .collect()
}

fn line(measured: &[Measured], fault: Fault, proxy: &str) -> Option<Line> {
    let of = |fault: Fault| {
        measured
            .iter()
            .filter(move |one| one.fault == fault && one.proxy == proxy)
    };
    let judged = || of(fault).map(|one| &one.cell.judged);
    let requests: f64 = judged().map(|window| window.requests).sum();
    let arrived: f64 = judged().flat_map(|window| window.arrived).sum();
    let third: f64 = judged().map(|window| window.arrived[2]).sum();
    let base = of(Fault::Healthy).map(|one| one.cell.judged.p99);
    let base = base.reduce(f64::min);
    let ratios = || of(fault).filter_map(|one| Some(one.cell.judged.p99 / base?));
    let spread = ratios().reduce(f64::min).zip(ratios().reduce(f64::max));
    Some(Line {
        fault,
        proxy: proxy.to_owned(),
        judged: span(judged())?,
        onset: span(of(fault).map(|one| &one.cell.onset))?,
        ratio: median(ratios().collect()),
        spread,
        amplification: arrived / requests,
        third: third / arrived,
    })
}

fn span<'a>(windows: impl Iterator<Item = &'a super::cell::Window> + Clone) -> Option<Span> {
    let failed: f64 = windows.clone().map(|window| window.failed).sum();
    let requests: f64 = windows.clone().map(|window| window.requests).sum();
    Some(Span {
        failed: failed / requests,
        p50: median(windows.clone().map(|window| window.p50).collect())?,
        p99: median(windows.map(|window| window.p99).collect())?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Cell, Window};
    use super::*;

    fn measured(rep: usize, fault: Fault, failed: f64, p99: f64) -> Measured {
        let window = Window {
            requests: 1000.0,
            failed,
            p50: 2.0,
            p99,
            arrived: [500.0, 500.0, 100.0],
        };
        Measured {
            rep,
            fault,
            proxy: "x".to_owned(),
            cell: Cell {
                onset: window.clone(),
                judged: window,
                told: Value::Null,
            },
        }
    }

    #[test]
    fn failures_are_summed_and_ratios_are_to_the_lowest_baseline() {
        let all = [
            measured(0, Fault::Healthy, 0.0, 3.0),
            measured(1, Fault::Healthy, 0.0, 6.0),
            measured(0, Fault::Slow, 2.0, 5.4),
            measured(1, Fault::Slow, 0.0, 9.6),
        ];
        let line = line(&all, Fault::Slow, "x").expect("a line");
        assert!((line.judged.failed - 0.001).abs() < 1e-9, "{line:?}");
        assert!(
            line.ratio.is_some_and(|ratio| (ratio - 2.5).abs() < 1e-9),
            "{line:?}"
        );
        assert!((line.amplification - 1.1).abs() < 1e-9, "{line:?}");
        assert!(!line.is_met(), "{line:?}");
    }
}
