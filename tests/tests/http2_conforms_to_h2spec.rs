//! Callers get HTTP/2 as RFC 9113 and RFC 7541 have it: every case of h2spec passes in strict mode, inside TLS and
//! without.

use std::path::Path;

use remora_tests::config::Config;
use remora_tests::needs;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::tls::{issued, settings};
use tokio::process::Command;

const H2SPEC: (&str, &str) = ("h2spec", "built from Go by cargo xtask test");

/// So many cases has h2spec 2.6 in strict mode.
const CASES: usize = 147;

/// Runs all cases against a sidecar.
async fn conforms(sidecar: &Proxy, flags: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.xml");
    let port = sidecar.address().port().to_string();
    let mut command = Command::new(needs::find("h2spec").expect("h2spec"));
    command
        .args(["--host", "127.0.0.1", "--port", &port, "--strict"])
        // A case whose answer does not come within this is a failure; silence is an answer to some.
        .args(["--timeout", "5", "--junit-report"])
        .arg(&report)
        .args(flags)
        .kill_on_drop(true);
    let output = command.output().await.expect("h2spec starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = failures(&report);
    assert!(failed.is_empty(), "{}\n\n{text}", failed.join("\n"));
    assert!(output.status.success(), "{text}");
    let passed = format!("{CASES} tests, {CASES} passed, 0 skipped, 0 failed");
    assert!(text.contains(&passed), "{text}");
}

/// What the report says of cases that did not pass: it has a line for the beginning of each element.
fn failures(report: &Path) -> Vec<String> {
    let report = std::fs::read_to_string(report).expect("a report");
    let cases: Vec<&str> = report.split("<testcase ").skip(1).collect();
    assert_eq!(cases.len(), CASES, "{report}");
    let bad = |case: &&&str| {
        let marks = ["<failure", "<skipped", "<error"];
        marks.iter().any(|mark| case.contains(mark))
    };
    cases
        .iter()
        .filter(bad)
        .map(|case| (*case).to_owned())
        .collect()
}

/// Its answer is long enough to be held up by a small window, for which some cases need five bytes.
fn workload() -> Origin {
    Origin::start(|_| async { ok("fine, and long enough") })
}

fn met() -> bool {
    needs::met(&[H2SPEC], false)
}

#[test]
fn without_tls() {
    if !met() {
        return;
    }
    promise(async {
        let origin = workload();
        let config = format!("to: http://{}", origin.address());
        let sidecar = Proxy::start(&Config::of_sidecar(&config)).await;
        conforms(&sidecar, &[]).await;
    });
}

#[test]
fn inside_tls() {
    if !met() {
        return;
    }
    promise(async {
        let (_authority, folder) = issued();
        let origin = workload();
        let url = format!("http://{}", origin.address());
        let sidecar = Proxy::start(&settings(&url, folder.path(), "")).await;
        conforms(&sidecar, &["--tls", "--insecure"]).await;
    });
}
