//! Prints the outcome of a run, and writes its files and the results page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::machine::Machine;
use super::summary::Summary;
use super::{chart, table};
use crate::options::Options;
use crate::peer::Peer;
use crate::run::{Invalid, Outcome};

/// Where the results page keeps what is written by this program.
const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Prints the table and writes the files that were asked for.
pub(crate) fn all(options: &Options, outcome: &Outcome) -> Result<()> {
    let summary = Summary::new(outcome);
    let machine = Machine::read();
    println!("\n{}", table::terminal(&summary));
    invalid(outcome).iter().for_each(|line| println!("{line}"));
    println!(
        "{}\n{machine}; {:.0} s",
        outcome.notes.join(" "),
        outcome.took.as_secs_f64()
    );

    let json = json(outcome, &summary, &machine);
    let chart = chart::draw(&summary);
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| options.dir.join("latest.json"));
    save(&out, &json, &chart)?;
    println!(
        "written: {} and {}",
        out.display(),
        out.with_extension("svg").display()
    );
    if options.write {
        let bench = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        save(&bench.join("results/latest.json"), &json, &chart)?;
        let page = bench.join("RESULTS.md");
        replace(&page, BEGIN, END, &page_text(outcome, &summary, &machine))?;
        println!("written: {}", page.display());
    }
    Ok(())
}

/// Writes a JSON file and its chart.
pub(crate) fn save(path: &Path, json: &Value, chart: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let text = serde_json::to_string_pretty(json)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::write(path.with_extension("svg"), chart).context("cannot write the chart")
}

fn json(outcome: &Outcome, summary: &Summary, machine: &Machine) -> Value {
    let versions: serde_json::Map<_, _> = outcome
        .peers
        .iter()
        .map(|peer| (peer.name.clone(), json!(peer.version)))
        .collect();
    let invalid: Vec<Value> = outcome
        .invalid
        .iter()
        .map(|one| json!({"rep": one.rep, "proxy": one.proxy, "scenario": one.scenario, "why": one.why}))
        .collect();
    json!({
        "date": machine.date, "cpu": machine.cpu, "cores": machine.cores, "kernel": machine.kernel,
        "command": Options::shown(), "notes": outcome.notes, "versions": versions,
        "figures": summary.json(), "invalid": invalid,
    })
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

fn page_text(outcome: &Outcome, summary: &Summary, machine: &Machine) -> String {
    let version = |peer: &Peer| format!("{}: {}", peer.name, peer.version);
    let versions: Vec<String> = outcome.peers.iter().map(version).collect();
    let mut lines = vec![
        format!("Measured on {} on {machine}.", machine.date),
        format!(
            "Command: `{}`. {}",
            Options::shown(),
            outcome.notes.join(" ")
        ),
        format!("Versions: {}.", versions.join("; ")),
        String::new(),
        "![Ratios to HAProxy](results/latest.svg)".to_owned(),
        String::new(),
        table::markdown(summary),
    ];
    lines.extend(invalid(outcome).into_iter().map(|line| format!("\n{line}")));
    lines.join("\n")
}

/// Puts `text` between two markers of a page.
pub(crate) fn replace(page: &Path, begin: &str, end: &str, text: &str) -> Result<()> {
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) = old
        .split_once(begin)
        .with_context(|| format!("{} has no line {begin}", page.display()))?;
    let (_, after) = rest
        .split_once(end)
        .with_context(|| format!("{} has no line {end}", page.display()))?;
    fs::write(page, format!("{before}{begin}\n{text}\n{end}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))
}
