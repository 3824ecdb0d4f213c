//! With nothing set but a certificate, testssl.sh finds nothing to complain of in protocols, ciphers, preferences,
//! forward secrecy and vulnerabilities; what it says of the certificate is due to its being one of a test.

use remora_tests::needs;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::tls::{NAME, issued, settings};
use serde_json::Value;
use tokio::process::Command;

/// What may be found all the same, and why.
const ALLOWED: [(&str, &str); 1] = [(
    "engine_problem",
    "the OpenSSL that testssl.sh itself uses has no GOST, which says nothing of a sidecar",
)];

/// What must be among the findings, so that an empty report is no good one.
const LOOKED_AT: [&str; 8] = [
    "SSLv2",
    "SSLv3",
    "TLS1",
    "TLS1_1",
    "TLS1_2",
    "TLS1_3",
    "cipherlist_NULL",
    "heartbleed",
];

/// Runs these checks, and returns what was found.
async fn found(sidecar: &Proxy, checks: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let target = format!("{NAME}:{}", sidecar.address().port());
    let mut command = Command::new(needs::find("testssl").expect("testssl.sh"));
    command
        .args(["--quiet", "--warnings", "batch", "--color", "0"])
        .args(["--ip", "127.0.0.1", "--nodns", "none", "--jsonfile"])
        .arg(&report)
        .args(checks)
        .arg(&target)
        .kill_on_drop(true);
    let output = command.output().await.expect("testssl.sh starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = std::fs::read_to_string(report).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let found: Value =
        serde_json::from_str(&report).unwrap_or_else(|why| panic!("{why}\n{report}"));
    found.as_array().expect("findings").clone()
}

fn is_well(finding: &Value) -> bool {
    let severity = finding["severity"].as_str().unwrap_or_default();
    let id = finding["id"].as_str().unwrap_or_default();
    ["OK", "INFO"].contains(&severity) || ALLOWED.iter().any(|(allowed, _)| *allowed == id)
}

#[test]
fn in_what_callers_are_offered() {
    if !needs::met(&[("testssl", "testssl.sh")], false) {
        return;
    }
    promise(async {
        let (_authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let url = format!("http://{}", origin.address());
        let sidecar = Proxy::start(&settings(&url, folder.path(), "")).await;
        let (one, other) = tokio::join!(
            found(&sidecar, &["-p", "-s", "-f", "-P", "--fast"]),
            // In a hurry it asks OpenSSL for ciphers that this one does not have.
            found(&sidecar, &["-U"]),
        );
        let found = [one, other].concat();
        let wrong: Vec<String> = found
            .iter()
            .filter(|finding| !is_well(finding))
            .map(Value::to_string)
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for id in LOOKED_AT {
            let seen = found.iter().any(|finding| finding["id"] == id);
            assert!(seen, "nothing is said of {id}: {found:?}");
        }
    });
}
