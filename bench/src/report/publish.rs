//! Prints the outcome of a run, and writes its files and its part of the results page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::machine::Machine;
use super::summary::Summary;
use super::{chart, table};
use crate::options::Shared;
use crate::peer::Peer;
use crate::run::{Invalid, Outcome};

/// A kind of run: the name of its files in `results`, and that of the markers around its part of the results page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    file: &'static str,
    marker: &'static str,
}

/// The scenarios of the ambassador.
pub(crate) const SCENARIOS: Kind = Kind {
    file: "latest",
    marker: "bench",
};
/// Those of gray failures.
pub(crate) const GRAY: Kind = Kind {
    file: "gray",
    marker: "gray",
};
/// Those of the edge inside TLS.
pub(crate) const TLS: Kind = Kind {
    file: "tls",
    marker: "tls",
};

/// What a run was, besides its figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) peers: &'a [Peer],
    pub(crate) notes: &'a [String],
    pub(crate) machine: &'a Machine,
}

/// A run as it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) json: Value,
    pub(crate) chart: String,
    /// Its part of the results page.
    pub(crate) page: String,
}

/// Prints the table and writes the files that were asked for.
pub(crate) fn all(shared: &Shared, kind: Kind, outcome: &Outcome) -> Result<()> {
    let summary = Summary::new(outcome);
    let machine = Machine::read();
    println!("\n{}", table::terminal(&summary));
    invalid(outcome).iter().for_each(|line| println!("{line}"));
    println!(
        "{}\n{machine}; {:.0} s",
        outcome.notes.join(" "),
        outcome.took.as_secs_f64()
    );
    let about = About {
        peers: &outcome.peers,
        notes: &outcome.notes,
        machine: &machine,
    };
    let kept = Kept {
        json: json(about, outcome, &summary),
        chart: chart::draw(&summary),
        page: page(kind, about, outcome, &summary),
    };
    kept.write(shared, kind)
}

impl About<'_> {
    /// The fields of a JSON file that every kind of run has.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let versions: Map<String, Value> = self
            .peers
            .iter()
            .map(|peer| (peer.name.clone(), json!(peer.version)))
            .collect();
        let machine = self.machine;
        let fields = [
            ("date", json!(machine.date)),
            ("cpu", json!(machine.cpu)),
            ("cores", json!(machine.cores)),
            ("kernel", json!(machine.kernel)),
            ("command", json!(Shared::shown())),
            ("notes", json!(self.notes)),
            ("versions", Value::Object(versions)),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        fields.into_iter().collect()
    }

    /// The same as the first lines of a part of the results page.
    pub(crate) fn lines(&self) -> Vec<String> {
        let version = |peer: &Peer| format!("{}: {}", peer.name, peer.version);
        let versions: Vec<String> = self.peers.iter().map(version).collect();
        vec![
            format!("Measured on {} on {}.", self.machine.date, self.machine),
            format!("Command: `{}`. {}", Shared::shown(), self.notes.join(" ")),
            format!("Versions: {}.", versions.join("; ")),
        ]
    }
}

impl Kept {
    /// Writes the files, and with `--write` those of this repository too.
    pub(crate) fn write(&self, shared: &Shared, kind: Kind) -> Result<()> {
        let name = format!("{}.json", kind.file);
        let out = shared.out.clone();
        let out = out.unwrap_or_else(|| shared.dir.join(&name));
        self.save(&out)?;
        println!(
            "written: {} and {}",
            out.display(),
            out.with_extension("svg").display()
        );
        if shared.write {
            let bench = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            self.save(&bench.join("results").join(&name))?;
            let page = bench.join("RESULTS.md");
            replace(&page, kind.marker, &self.page)?;
            println!("written: {}", page.display());
        }
        Ok(())
    }

    fn save(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(&self.json)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::write(path.with_extension("svg"), &self.chart).context("cannot write the chart")
    }
}

fn json(about: About<'_>, outcome: &Outcome, summary: &Summary) -> Value {
    let invalid: Vec<Value> = outcome
        .invalid
        .iter()
        .map(|one| json!({"rep": one.rep, "proxy": one.proxy, "scenario": one.scenario, "why": one.why}))
        .collect();
    let mut fields = about.json();
    fields.insert("figures".to_owned(), summary.json());
    fields.insert("invalid".to_owned(), json!(invalid));
    Value::Object(fields)
}

fn invalid(outcome: &Outcome) -> Vec<String> {
    let line = |one: &Invalid| {
        format!(
            "Invalid: {} with {}, repetition {}: {}.",
            one.scenario, one.proxy, one.rep, one.why
        )
    };
    outcome.invalid.iter().map(line).collect()
}

fn page(kind: Kind, about: About<'_>, outcome: &Outcome, summary: &Summary) -> String {
    let mut lines = about.lines();
    lines.extend([
        String::new(),
        format!("![Ratios to HAProxy](results/{}.svg)", kind.file),
        String::new(),
        table::markdown(summary),
    ]);
    lines.extend(invalid(outcome).into_iter().map(|line| format!("\n{line}")));
    lines.join("\n")
}

/// Puts `text` between the two lines of a page that have this marker.
fn replace(page: &Path, marker: &str, text: &str) -> Result<()> {
    let begin = format!("<!-- {marker}:begin -->");
    let end = format!("<!-- {marker}:end -->");
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) = old
        .split_once(&begin)
        .with_context(|| format!("{} has no line {begin}", page.display()))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("{} has no line {end}", page.display()))?;
    fs::write(page, format!("{before}{begin}\n{text}\n{end}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))
}
