//! `completions SHELL` of every role prints what the shell accepts and what offers the commands.

use std::process::{Command, Stdio};

use remora_tests::ambassador::run;
use remora_tests::needs::met;
use remora_tests::promise::promise;
use remora_tests::proxy::{self, AMBASSADOR, INGRESS, SIDECAR};

/// The roles, and what only some of them have.
const ROLES: [(&str, &[&str]); 3] = [
    (AMBASSADOR, &[]),
    (SIDECAR, &["drain", "cert"]),
    (INGRESS, &["cert"]),
];

/// The script of a shell.
async fn script(role: &str, shell: &str) -> String {
    let output = proxy::run(role, &["completions", shell]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{role} {shell}: {said}");
    String::from_utf8(output.stdout).expect("a script is UTF-8")
}

#[test]
fn each_shell_gets_a_script_with_every_command_and_flag() {
    promise(async {
        let shells = ["bash", "zsh", "fish", "elvish", "powershell"];
        let every = [
            "run",
            "check",
            "schema",
            "demo",
            "completions",
            "dns-server",
        ];
        for (role, own) in ROLES {
            for shell in shells {
                let text = script(role, shell).await;
                for word in every.iter().chain(own) {
                    assert!(text.contains(word), "{role} {shell}: {word}");
                }
            }
        }
    });
}

#[test]
fn bash_parses_its_script_and_offers_the_commands() {
    if !met(&[("bash", "bash")], false) {
        return;
    }
    promise(async {
        for (role, _) in ROLES {
            offers(role, &script(role, "bash").await);
        }
    });
}

fn offers(role: &str, script: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("script.bash");
    std::fs::write(&file, script).expect("a file");
    let parsed = Command::new("bash").arg("-n").arg(&file).output();
    let parsed = parsed.expect("bash runs");
    let said = String::from_utf8_lossy(&parsed.stderr).into_owned();
    assert!(parsed.status.success(), "{said}");

    // What bash does when somebody types the role's name and a space, and presses the tab key.
    let pressed = r#"
        source "$1"
        COMP_WORDS=("$2" ""); COMP_CWORD=1
        "_$2" "$2" "" "$2"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let offered = Command::new("bash")
        .args(["--norc", "-c", pressed, "bash"])
        .arg(&file)
        .arg(role)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let words = String::from_utf8_lossy(&offered.stdout).into_owned();
    for word in ["run", "check", "schema", "demo", "completions", "--listen"] {
        let is_offered = words.lines().any(|line| line == word);
        assert!(is_offered, "{role} {word}: {words}");
    }
}

#[test]
fn an_unknown_shell_is_a_wrong_command_line() {
    promise(async {
        for arguments in [&["completions", "tcsh"][..], &["completions"]] {
            let output = run(arguments).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        let output = run(&["completions", "tcsh"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("tcsh") && said.contains("bash"), "{said}");
    });
}
