//! Medians, spreads and ratios of the samples of a run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::metric::Metric;
use crate::peer::BASELINE;
use crate::run::{Outcome, Sample};

/// The figures of a run: one row a metric that was measured, one cell a proxy.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) proxies: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One metric over all proxies, in the order of [`Summary::proxies`].
#[derive(Debug)]
pub(super) struct Row {
    pub(super) metric: Metric,
    pub(super) cells: Vec<Option<Cell>>,
}

/// One metric of one proxy over all repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// The median, over the repetitions that measured both, of this proxy's figure over HAProxy's.
    ///
    /// Pairs of one repetition were taken close in time, so a machine that grows slower during the
    /// run does not shift this ratio as it shifts the medians.
    pub(super) ratio: Option<f64>,
}

impl Summary {
    /// Sums the samples up.
    pub(super) fn new(outcome: &Outcome) -> Self {
        let proxies: Vec<String> = outcome.peers.iter().map(|peer| peer.name.clone()).collect();
        let row = |metric: Metric| {
            let of = |proxy: &str| Series::new(&outcome.samples, proxy, metric);
            let base = of(BASELINE);
            let cell = |proxy: &String| {
                let series = of(proxy);
                let ratio = series.ratio(&base);
                Cell::new(series.values()).map(|cell| Cell { ratio, ..cell })
            };
            let cells = proxies.iter().map(cell).collect();
            Row { metric, cells }
        };
        let rows = Metric::ALL
            .into_iter()
            .map(row)
            .filter(|row| row.cells.iter().any(Option::is_some))
            .collect();
        Self { proxies, rows }
    }

    /// `{metric: {proxy: {median, min, max, ratio}}}`.
    pub(super) fn json(&self) -> Value {
        let row = |row: &Row| {
            let cells = self
                .proxies
                .iter()
                .zip(&row.cells)
                .filter_map(|(proxy, cell)| {
                    let Cell {
                        median,
                        min,
                        max,
                        ratio,
                    } = (*cell)?;
                    Some((
                        proxy.clone(),
                        json!({"median": median, "min": min, "max": max, "ratio": ratio}),
                    ))
                });
            (
                row.metric.shown().key.to_owned(),
                Value::Object(cells.collect()),
            )
        };
        Value::Object(self.rows.iter().map(row).collect())
    }
}

/// The samples of one metric of one proxy, by repetition.
struct Series(BTreeMap<usize, Vec<f64>>);

impl Series {
    fn new(samples: &[Sample], proxy: &str, metric: Metric) -> Self {
        let mut series = BTreeMap::<usize, Vec<f64>>::new();
        let wanted = samples
            .iter()
            .filter(|one| one.proxy == proxy && one.metric == metric);
        wanted.for_each(|one| series.entry(one.rep).or_default().push(one.value));
        Self(series)
    }

    fn values(&self) -> Vec<f64> {
        self.0.values().flatten().copied().collect()
    }

    fn ratio(&self, base: &Self) -> Option<f64> {
        let pairs = self.0.iter().filter_map(|(rep, values)| {
            let base = median(base.0.get(rep)?.clone()).filter(|base| *base > 0.0)?;
            Some(median(values.clone())? / base)
        });
        median(pairs.collect())
    }
}

impl Cell {
    fn new(values: Vec<f64>) -> Option<Self> {
        let min = values.iter().copied().reduce(f64::min)?;
        let max = values.iter().copied().reduce(f64::max)?;
        Some(Self {
            median: median(values)?,
            min,
            max,
            ratio: None,
        })
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 {
        upper
    } else {
        (values[middle - 1] + upper) / 2.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn ratios_pair_what_one_repetition_measured() {
        let sample = |rep, proxy: &str, value| Sample {
            rep,
            proxy: proxy.to_owned(),
            metric: Metric::H1Cpu,
            value,
        };
        // The machine slows down threefold, and the baseline misses one repetition.
        let samples = [
            sample(0, "haproxy", 10.0),
            sample(0, "other", 9.0),
            sample(1, "haproxy", 30.0),
            sample(1, "other", 24.0),
            sample(2, "other", 99.0),
        ];
        let of = |proxy| Series::new(&samples, proxy, Metric::H1Cpu);
        let ratio = of("other").ratio(&of("haproxy")).expect("a ratio");
        assert!((ratio - 0.85).abs() < 1e-9, "{ratio}");
    }
}
