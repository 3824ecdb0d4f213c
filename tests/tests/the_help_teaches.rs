//! `--help` shows worked examples, exit codes and where to look next, within 80 columns.

use remora_tests::ambassador::run;
use remora_tests::promise::promise;
use remora_tests::proxy::{self, INGRESS, SIDECAR};

/// Command lines, each with what their help must say.
const TAUGHT: &[(&[&str], &[&str])] = &[
    (
        &["--help"],
        &[
            "ambassador demo",
            "--listen localhost:9000 --to http://users.default:8080",
            "ambassador check -c remora.yaml",
            "Exit codes:",
            "nothing was started",
            "Where to look next:",
            "ambassador run --help",
            "completions",
        ],
    ),
    (
        &["run", "--help"],
        &[
            "ambassador run -c remora.yaml",
            "SIGTERM drains",
            "Exit codes:",
            "curl localhost:15000/readyz",
            "x-remora-explain: 1",
        ],
    ),
    (
        &["check", "--help"],
        &[
            "ambassador check --effective -c remora.yaml",
            "Exit codes:",
            "ambassador schema",
        ],
    ),
    (
        &["completions", "--help"],
        &["source <(ambassador completions bash)", "powershell"],
    ),
];

/// The same of the roles that callers from elsewhere connect to.
const TAUGHT_INBOUND: &[(&str, &[&str], &[&str])] = &[
    (
        SIDECAR,
        &["--help"],
        &["sidecar demo", "sidecar drain", "Exit codes:", "--cert"],
    ),
    (SIDECAR, &["run", "--help"], &["localhost:15010/readyz"]),
    (
        INGRESS,
        &["--help"],
        &[
            "ingress demo",
            "--listen :8080 --to http://shop:8080",
            "--cert tls.crt --key tls.key",
            "ingress check -c remora.yaml",
            "Exit codes:",
            "Where to look next:",
        ],
    ),
    (
        INGRESS,
        &["run", "--help"],
        &["ingress run -c remora.yaml", "localhost:15030/readyz"],
    ),
    (
        INGRESS,
        &["explain", "--help"],
        &["GET https://shop.example", "x-version: beta"],
    ),
    (INGRESS, &["check", "--help"], &["--samples samples.yaml"]),
    (INGRESS, &["demo", "--help"], &["--keep"]),
];

#[test]
fn each_help_says_what_to_type_and_what_follows() {
    promise(async {
        for (arguments, phrases) in TAUGHT {
            teaches(proxy::AMBASSADOR, arguments, phrases).await;
        }
        for (role, arguments, phrases) in TAUGHT_INBOUND {
            teaches(role, arguments, phrases).await;
        }
    });
}

async fn teaches(role: &str, arguments: &[&str], phrases: &[&str]) {
    let output = proxy::run(role, arguments).await;
    assert_eq!(output.status.code(), Some(0), "{role} {arguments:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for phrase in phrases {
        let said = text.contains(phrase);
        assert!(said, "{role} {arguments:?}: {phrase}\n{text}");
    }
    let wide: Vec<&str> = text.lines().filter(|l| l.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{role} {arguments:?}: {wide:#?}");
}

#[test]
fn the_short_help_fits_a_screen() {
    promise(async {
        // The sidecar has more flags than the others.
        for (role, most) in [(proxy::AMBASSADOR, 40), (SIDECAR, 48), (INGRESS, 40)] {
            let output = proxy::run(role, &["-h"]).await;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.lines().count() <= most, "{text}");
            assert!(text.contains("--help"), "{text}");
        }
    });
}

#[test]
fn what_the_help_shows_is_accepted() {
    promise(async {
        let flags = [
            "--listen",
            "localhost:9000",
            "--to",
            "http://users.default:8080",
        ];
        let output = run(&[&["check", "--effective"], &flags[..]].concat()).await;
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("http://users.default:8080"), "{text}");
        for (role, to) in [
            (SIDECAR, "http://localhost:8080"),
            (INGRESS, "http://shop:8080"),
        ] {
            let flags = ["check", "--effective", "--listen", ":8443", "--to", to];
            let output = proxy::run(role, &flags).await;
            assert_eq!(output.status.code(), Some(0), "{role}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(to), "{text}");
        }
    });
}
