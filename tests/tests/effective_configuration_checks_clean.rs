//! `check --effective` prints every default, and what it prints is itself a clean file that means
//! the same; so does `/config`.

use remora_tests::ambassador::{Ambassador, run, run_in};
use remora_tests::config::Config;
use remora_tests::promise::promise;

const KEYS: [&str; 14] = [
    "admin:",
    "workers:",
    "access-log:",
    "drain:",
    "dns:",
    "timeout:",
    "retry:",
    "eject:",
    "balance:",
    "pool:",
    "max-headers:",
    "discover:",
    "host:",
    "budget:",
];

async fn effective(text: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
    let arguments = ["check", "-c", "remora.yaml", "--effective"];
    let output = run_in(directory.path(), &arguments).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{text}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn of_a_file() {
    promise(async {
        let files = [
            "ambassador: {users: {listen: 'localhost:9000', to: 'http://users.default:8080'}}\n",
            "admin: off\nworkers: 3\nambassador:\n  a: {listen: '*:1', to: [{to: 'tcp://b:2', weight: 7}, \
             'tcp://127.0.0.1:3'], retry: off, eject: off, pool: {age: off}}\n",
        ];
        for file in files {
            let once = effective(file).await;
            assert_eq!(effective(&once).await, once, "it means the same again");
        }
        let text = effective(files[0]).await;
        for key in KEYS {
            assert!(text.contains(key), "no {key} in\n{text}");
        }
    });
}

#[test]
fn of_flags() {
    promise(async {
        let arguments = [
            "check",
            "--listen",
            "localhost:9000",
            "--to",
            "http://users:80",
            "--effective",
        ];
        let output = run(&arguments).await;
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains("default:"), "{text}");
        assert_eq!(effective(&text).await, text);
    });
}

#[test]
fn of_a_running_proxy() {
    promise(async {
        let config = Config::of("to: http://127.0.0.1:1");
        let ambassador = Ambassador::start(&config).await;
        let text = ambassador.ask("GET", "/config").await.text();
        assert_eq!(text, effective(&config.text()).await);
    });
}
