//! `--help` shows worked examples, exit codes and where to look next, within 80 columns.

use remora_tests::ambassador::run;
use remora_tests::promise::promise;

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

#[test]
fn each_help_says_what_to_type_and_what_follows() {
    promise(async {
        for (arguments, phrases) in TAUGHT {
            let output = run(arguments).await;
            assert_eq!(output.status.code(), Some(0), "{arguments:?}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            for phrase in *phrases {
                assert!(text.contains(phrase), "{arguments:?}: {phrase}\n{text}");
            }
            let wide: Vec<&str> = text.lines().filter(|l| l.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{arguments:?}: {wide:#?}");
        }
    });
}

#[test]
fn the_short_help_fits_a_screen() {
    promise(async {
        let output = run(&["-h"]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.lines().count() <= 40, "{text}");
        assert!(text.contains("--help"), "{text}");
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
    });
}
