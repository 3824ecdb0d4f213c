//! `sidecar demo` tells callers apart, follows the workload's health and drains without a loss; `--keep` keeps it for curl.

use std::path::Path;

use remora_tests::kept::{Kept, shell};
use remora_tests::needs::met;
use remora_tests::promise::promise;
use remora_tests::proxy::{SIDECAR, run};

#[test]
fn it_ends_well_and_its_last_table_counts_no_failure() {
    promise(async {
        let started = std::time::Instant::now();
        let output = run(SIDECAR, &["demo"]).await;
        let took = started.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}\n{log}");
        assert!(
            took.as_secs() < 15,
            "the demo promises less than 15 s and took {took:?}"
        );
        let mut rest = &*text;
        for event in [
            "client-ca: ",
            "curl https://shop.demo:",
            "the workload fails its health check",
            "the sidecar is not ready: web (the workload fails its health check: status 503)",
            "the sidecar is ready again",
            "the sidecar drains",
            "the sidecar is not ready: draining",
            "the callers have heard of it",
            "the report was finished",
            "caller    certificate",
            "failures the callers saw: 0",
        ] {
            let (_, after) = rest.split_once(event).unwrap_or_else(|| {
                panic!("no `{event}`, or not in its place:\n{text}");
            });
            rest = after;
        }
        let (_, table) = text.split_once("caller    certificate").expect("a table");
        for told in [
            &["ann ", "ann from 127.0.0.1"][..],
            &["bob ", "bob from 127.0.0.1"],
            &["guest ", "nobody from 127.0.0.1"],
            &["mallory ", " nothing"],
        ] {
            let row = table.lines().find(|row| row.starts_with(told[0]));
            assert!(
                row.is_some_and(|row| row.ends_with(told[1])),
                "{told:?}\n{text}"
            );
        }
        for name in ["requests", "resumed", "refused"] {
            assert!(figure(table, name) > 0, "{name}\n{text}");
        }
        assert_eq!(figure(table, "failures"), 0, "{text}");
        let wide = text.lines().filter(|line| !line.contains("remora-demo-"));
        let wide: Vec<&str> = wide.filter(|line| line.chars().count() > 90).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    });
}

/// The figure of a line such as `requests   12,345`.
fn figure(table: &str, name: &str) -> u64 {
    let line = table.lines().find(|line| line.starts_with(name));
    let digits = line.map(|line| line.replace(name, "").replace(',', ""));
    let number = digits.and_then(|digits| digits.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in\n{table}"))
}

#[test]
fn what_it_shows_can_be_pasted_while_it_is_kept() {
    if !met(&[("curl", "curl")], false) {
        return;
    }
    promise(async {
        let mut kept = Kept::start(SIDECAR);
        let shown = kept.curl().await;
        let reply = shell(&shown).await;
        let (_, port) = shown.split_once("shop.demo:").expect("a port");
        let (port, _) = port.split_once('/').expect("a port");
        let told = |who: &str| format!("{who} from 127.0.0.1 by https to shop.demo:{port}\n");
        assert_eq!(reply, told("ann"));
        // Without a certificate it is nobody's call, whatever it says of itself.
        let (nameless, _) = shown.split_once("--cert ").expect("a certificate");
        let nameless = nameless.trim_end().trim_end_matches('\\');
        assert_eq!(shell(nameless).await, told("nobody"));
        let (_, folder) = shown.split_once("--cacert ").expect("an authority");
        let (folder, _) = folder.split_once("/ca.pem").expect("a folder");
        assert!(Path::new(folder).exists());
        kept.find("the sidecar is ready again").await;
        kept.interrupt();
        kept.find("the report was finished").await;
        kept.find("failures the callers saw: 0").await;
        assert_eq!(kept.exit().await.code(), Some(0));
        assert!(!Path::new(folder).exists(), "the keys are gone");
    });
}
