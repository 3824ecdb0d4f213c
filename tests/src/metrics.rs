//! Parses the Prometheus text exposition, strictly: what a scraper would warn of is an error here.

use std::collections::{BTreeMap, BTreeSet};

/// One sample: its labels and its value.
type Sample = (BTreeMap<String, String>, f64);

/// One scrape.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The type of each family, by its name.
    pub families: BTreeMap<String, String>,
    samples: BTreeMap<String, Vec<Sample>>,
}

impl Metrics {
    /// Parses a scrape.
    ///
    /// # Errors
    ///
    /// Says which line is wrong: a sample without `# TYPE` and `# HELP` before it, a second family
    /// of the same name, a sample given twice, a label or number that does not parse.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut metrics = Self::default();
        let mut helped = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some("HELP"), Some(name), Some(_)) => {
                    if !helped.insert(name.to_owned()) {
                        return Err(format!("second help: {line}"));
                    }
                }
                (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                    if metrics
                        .families
                        .insert(name.to_owned(), kind.to_owned())
                        .is_some()
                    {
                        return Err(format!("second family: {line}"));
                    }
                }
                _ => metrics
                    .sample(line, &helped)
                    .ok_or(format!("bad sample: {line}"))?,
            }
        }
        Ok(metrics)
    }

    /// The sum of all samples of this name that carry these labels; 0 when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|(_, value)| value).sum()
    }

    /// Whether there is a sample of this name that carries these labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// The label names that the samples of this name carry.
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        self.matching(name, &[])
            .flat_map(|(labels, _)| labels.keys().map(String::as_str))
            .collect()
    }

    fn matching(&self, name: &str, wanted: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.samples
            .get(name)
            .into_iter()
            .flatten()
            .filter(move |(labels, _)| {
                wanted
                    .iter()
                    .all(|(label, value)| labels.get(*label).is_some_and(|is| is == value))
            })
    }

    fn sample(&mut self, line: &str, helped: &BTreeSet<String>) -> Option<()> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, parse_labels(rest.strip_suffix('}')?)?),
            None => (series, BTreeMap::new()),
        };
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| {
                self.families
                    .get(*family)
                    .is_some_and(|kind| kind == "histogram")
            })
            .unwrap_or(name);
        let known = self.families.contains_key(family) && helped.contains(family);
        let samples = self.samples.entry(name.to_owned()).or_default();
        let again = samples.iter().any(|(other, _)| *other == labels);
        samples.push((labels, value.parse().ok()?));
        (known && !again).then_some(())
    }
}

/// Parses `a="b",c="d"` with the three escapes that the format has.
fn parse_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    letter @ ('"' | '\\') => letter,
                    _ => return None,
                }),
                (_, letter) => value.push(letter),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return None;
        }
        text = &rest[end + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    const SCRAPE: &str = "# HELP a_total Things.\n# TYPE a_total counter\n\
        a_total{x=\"1\",y=\"a\\\"b\"} 3\na_total{x=\"2\",y=\"\"} 4\n\
        # HELP d_seconds Time.\n# TYPE d_seconds histogram\n\
        d_seconds_bucket{le=\"+Inf\"} 2\nd_seconds_sum 0.5\nd_seconds_count 2\n";

    #[test]
    fn samples_are_summed_by_label() {
        let metrics = Metrics::parse(SCRAPE).expect("a clean scrape");
        assert_eq!(metrics.sum("a_total", &[]), 7.0);
        assert_eq!(metrics.sum("a_total", &[("y", "a\"b")]), 3.0);
        assert_eq!(metrics.sum("d_seconds_count", &[]), 2.0);
        assert!(!metrics.has("a_total", &[("x", "3")]));
        assert_eq!(metrics.labels("a_total").len(), 2);
    }

    #[test]
    fn what_a_scraper_would_refuse_is_refused() {
        for bad in [
            "a 1\n",
            "# TYPE a counter\na 1\n",
            "# HELP a b\n# TYPE a counter\na 1\na 2\n",
        ] {
            Metrics::parse(bad).expect_err(bad);
        }
    }
}
