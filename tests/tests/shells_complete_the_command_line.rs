//! `ambassador completions SHELL` prints what the shell accepts and what offers the commands.

use std::process::{Command, Stdio};

use remora_tests::ambassador::run;
use remora_tests::needs::met;
use remora_tests::promise::promise;

/// The script of a shell.
async fn script(shell: &str) -> String {
    let output = run(&["completions", shell]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shell}: {said}");
    String::from_utf8(output.stdout).expect("a script is UTF-8")
}

#[test]
fn each_shell_gets_a_script_with_every_command_and_flag() {
    promise(async {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let text = script(shell).await;
            for word in [
                "run",
                "check",
                "schema",
                "demo",
                "completions",
                "dns-server",
            ] {
                assert!(text.contains(word), "{shell}: {word}");
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
        let text = script("bash").await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ambassador.bash");
        std::fs::write(&file, &text).expect("a file");
        let parsed = Command::new("bash").arg("-n").arg(&file).output();
        let parsed = parsed.expect("bash runs");
        let said = String::from_utf8_lossy(&parsed.stderr).into_owned();
        assert!(parsed.status.success(), "{said}");

        // What bash does when somebody types `ambassador `, and presses the tab key.
        let pressed = r#"
            source "$1"
            COMP_WORDS=(ambassador ""); COMP_CWORD=1
            _ambassador ambassador "" ambassador
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let offered = Command::new("bash")
            .args(["--norc", "-c", pressed, "bash"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let words = String::from_utf8_lossy(&offered.stdout).into_owned();
        for word in ["run", "check", "schema", "demo", "completions", "--listen"] {
            assert!(words.lines().any(|line| line == word), "{word}: {words}");
        }
    });
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
