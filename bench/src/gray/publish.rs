//! Prints the outcome of a run, and writes its files and its section of the results page.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::options::Args;
use super::run::Outcome;
use super::summary::{self, Line};
use super::{cell, chart, table};
use crate::options::Options;
use crate::report::machine::Machine;
use crate::report::{replace, save};

/// Where the results page keeps what is written by this module.
const BEGIN: &str = "<!-- gray:begin -->";
const END: &str = "<!-- gray:end -->";

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
    let (json, chart) = (
        json(args, outcome, &lines, &machine),
        chart::draw(&lines, &proxies),
    );
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.dir.join("gray.json"));
    save(&out, &json, &chart)?;
    println!(
        "written: {} and {}",
        out.display(),
        out.with_extension("svg").display()
    );
    if args.write {
        let bench = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        save(&bench.join("results/gray.json"), &json, &chart)?;
        let page = bench.join("RESULTS.md");
        replace(
            &page,
            BEGIN,
            END,
            &page_text(args, outcome, &lines, &machine),
        )?;
        println!("written: {}", page.display());
    }
    Ok(())
}

fn json(args: &Args, outcome: &Outcome, lines: &[Line], machine: &Machine) -> Value {
    let versions: serde_json::Map<_, _> = outcome
        .peers
        .iter()
        .map(|peer| (peer.name.clone(), json!(peer.version)))
        .collect();
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
    json!({
        "date": machine.date, "cpu": machine.cpu, "cores": machine.cores, "kernel": machine.kernel,
        "command": Options::shown(), "notes": outcome.notes, "versions": versions,
        "rate": args.rate, "seconds": args.seconds(), "first_seconds": cell::SETTLE,
        "faults": lines.iter().map(Line::json).collect::<Vec<_>>(), "cells": cells, "invalid": outcome.invalid,
    })
}

fn page_text(args: &Args, outcome: &Outcome, lines: &[Line], machine: &Machine) -> String {
    let versions = outcome.peers.iter();
    let versions: Vec<String> = versions
        .map(|peer| format!("{}: {}", peer.name, peer.version))
        .collect();
    let mut text = vec![
        format!("Measured on {} on {machine}.", machine.date),
        format!(
            "Command: `{}`. {}",
            Options::shown(),
            outcome.notes.join(" ")
        ),
        format!("Versions: {}.", versions.join("; ")),
        format!(
            "{} requests/s, {:.0} s of each fault judged, {} repetitions.",
            args.rate,
            args.seconds(),
            args.reps()
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
    ];
    text.extend(
        outcome
            .invalid
            .iter()
            .map(|line| format!("\nInvalid: {line}.")),
    );
    text.join("\n")
}
