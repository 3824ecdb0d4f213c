//! Prints the outcome of a run, and writes its files and its section of the results page.

use anyhow::Result;
use serde_json::{Value, json};

use super::options::Args;
use super::run::Outcome;
use super::summary::{self, Line};
use super::{cell, chart, table};
use crate::report::machine::Machine;
use crate::report::{About, GRAY, Kept};

/// Prints the table and writes the files that were asked for.
pub(crate) fn report(args: &Args, outcome: &Outcome) -> Result<()> {
    let lines = summary::lines(outcome);
    let machine = Machine::read();
    println!("\n{}", table::terminal(&lines));
    outcome
        .invalid
        .iter()
        .for_each(|line| println!("Invalid: {line}."));
    println!("{}\n{machine}", outcome.notes.join(" "));
    let proxies: Vec<String> = outcome.peers.iter().map(|peer| peer.name.clone()).collect();
    let about = About {
        peers: &outcome.peers,
        notes: &outcome.notes,
        machine: &machine,
    };
    let kept = Kept {
        json: json(args, outcome, &lines, about),
        chart: chart::draw(&lines, &proxies),
        page: page(args, outcome, &lines, about),
    };
    kept.write(&args.shared, GRAY)
}

fn json(args: &Args, outcome: &Outcome, lines: &[Line], about: About<'_>) -> Value {
    let cells: Vec<Value> = outcome
        .measured
        .iter()
        .map(|one| {
            let told = &one.cell.told;
            json!({
                "rep": one.rep + 1, "fault": one.fault.name(), "proxy": one.proxy,
                "first_seconds": told["onset"], "judged": told["judged"],
            })
        })
        .collect();
    let lines: Vec<Value> = lines.iter().map(Line::json).collect();
    let mut fields = about.json();
    let own = [
        ("rate", json!(args.rate)),
        ("seconds", json!(args.seconds())),
        ("first_seconds", json!(cell::SETTLE)),
        ("faults", json!(lines)),
        ("cells", json!(cells)),
        ("invalid", json!(outcome.invalid)),
    ];
    fields.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(fields)
}

fn page(args: &Args, outcome: &Outcome, lines: &[Line], about: About<'_>) -> String {
    let mut text = about.lines();
    text.extend([
        format!(
            "{} requests/s, {:.0} s of each fault judged, {} repetitions.",
            args.rate,
            args.seconds(),
            args.shared.reps()
        ),
        String::new(),
        "![p99 while one of three endpoints fails](results/gray.svg)".to_owned(),
        String::new(),
        table::markdown(lines),
        String::new(),
        format!(
            "Failures are those of all repetitions, times the medians. The target: at most {} % failed, and a p99 of at most {} times that without a fault.",
            summary::FAILED * 100.0,
            summary::SLOWER
        ),
    ]);
    text.extend(
        outcome
            .invalid
            .iter()
            .map(|line| format!("\nInvalid: {line}.")),
    );
    text.join("\n")
}
