//! A wrong command line ends with exit code 2 and says which flag is wrong.

use remora_tests::ambassador::run;
use remora_tests::promise::promise;

/// Wrong command lines, each with a word of what is said about it.
const WRONG: &[(&[&str], &str)] = &[
    (&["--nonsense"], "--nonsense"),
    (&["serve"], "serve"),
    (&["--listen", "nowhere", "--to", "http://a"], "nowhere"),
    (&["--listen", "127.0.0.1:0", "--to", "a"], "a"),
    (
        &["--listen", "127.0.0.1:0", "--to", "http://a/path"],
        "/path",
    ),
    (&["--listen", "127.0.0.1:0"], "--to"),
    (&["--to", "http://a"], "--listen"),
    (
        &["check", "--listen", "127.0.0.1:0", "--to", "gopher://a"],
        "gopher",
    ),
    (
        &[
            "--listen",
            "127.0.0.1:0",
            "--to",
            "http://a",
            "--workers",
            "0",
        ],
        "workers",
    ),
    (
        &[
            "--listen",
            "127.0.0.1:0",
            "--to",
            "http://a",
            "--access-log",
            "x",
        ],
        "access-log",
    ),
    (
        &[
            "--listen",
            "127.0.0.1:0",
            "--to",
            "http://a",
            "--dns-server",
            "x",
        ],
        "dns-server",
    ),
];

#[test]
fn each_wrong_command_line_is_explained() {
    promise(async {
        for (arguments, words) in WRONG {
            let output = run(arguments).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.contains(words), "{arguments:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    });
}

#[test]
fn an_address_in_use_is_a_failure_while_running() {
    promise(async {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("a bound socket").to_string();
        let arguments = [
            "--listen",
            &address,
            "--to",
            "http://127.0.0.1:1",
            "--admin",
            "off",
        ];
        let output = run(&arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&address), "{said}");
    });
}

#[test]
fn help_and_version_are_no_failure() {
    promise(async {
        for arguments in [&["--help"], &["--version"]] {
            let output = run(arguments).await;
            assert_eq!(output.status.code(), Some(0));
            assert!(String::from_utf8_lossy(&output.stdout).contains("ambassador"));
        }
    });
}
