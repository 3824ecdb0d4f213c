//! Every mistake of a file is told with its place, its line and a remedy, all in one run, exit code 2.

use std::process::Output;

use remora_tests::ambassador::run_in;
use remora_tests::promise::promise;

/// One entry, whose lines after the first two start at line 5, column 5.
fn entry(more: &str) -> String {
    format!("ambassador:\n  users:\n    listen: localhost:0\n    to: http://users:8080\n{more}\n")
}

/// A file that says where the entry goes, on line 4, column 9.
fn to(url: &str) -> String {
    format!("ambassador:\n  users:\n    listen: localhost:0\n    to: {url}\n")
}

/// A line of an entry, the place of the mistake as `line:column`, and words of the explanation.
const LINES: &[(&str, &str, &str)] = &[
    (
        "    tiemout: {request: 5s}",
        "5:5",
        "did you mean `timeout`",
    ),
    ("    retry: {attemps: 1}", "5:13", "did you mean `attempts`"),
    ("    to: http://again:80", "5:5", "duplicate key `to`"),
    ("    timeout: {request: 5}", "5:24", "write `5s`"),
    ("    timeout: {request: 5sec}", "5:24", "unknown unit"),
    ("    timeout: {connect: off}", "5:24", "off"),
    ("    timeout: [5s]", "5:", "expected a map"),
    ("    retry: {body: 65536}", "5:19", "needs one"),
    ("    retry: {budget: 20}", "5:21", "write `20%`"),
    ("    retry: {floor: 10}", "5:20", "write `10/s`"),
    ("    retry: {attempts: 11}", "5:23", "from 0 to 10"),
    ("    retry: {on: [conect]}", "5:18", "`conect`"),
    ("    retry: {on: [99]}", "5:18", "99"),
    ("    eject: {at-most: 101%}", "5:22", "101%"),
    ("    balance: p3c", "5:14", "did you mean `p2c`"),
    ("    discover: dnss", "5:15", "did you mean `dns`"),
    ("    discover: static", "4:9", "takes addresses"),
    ("    max-headers: 2MiB", "5:18", "out of range"),
    ("    pool: {pending: many}", "5:21", "`many`"),
];

/// The same for what stands behind `to:`.
const TARGETS: &[(&str, &str, &str)] = &[
    ("users:8080", "4:9", "is not a URL"),
    ("ftp://users", "4:9", "unsupported scheme"),
    ("http://users/path", "4:9", "no path"),
    ("http://users?query", "4:9", "no path or query"),
    ("http://me:secret@users", "4:9", "user"),
    ("http://users:99999", "4:9", "is not a port"),
    ("tcp://users", "4:9", "needs a port"),
    ("[]", "4:", "empty list"),
    ("[http://a, h2c://b]", "4:20", "one scheme"),
    ("[{to: http://a, weight: 0}]", "4:33", "out of range"),
];

/// The same for whole files.
const FILES: &[(&str, &str, &str)] = &[
    ("workers: 0\n", "1:10", "out of range"),
    ("workers: 1025\n", "1:10", "out of range"),
    ("access-log: some\n", "1:13", "`some`"),
    ("admin: nowhere\n", "1:8", "`nowhere`"),
    (
        "admin: localhost:${REMORA_UNSET_HERE}\n",
        "1:18",
        "REMORA_UNSET_HERE",
    ),
    (
        "ambassador: {Users: {listen: 'localhost:0', to: 'http://a'}}\n",
        "1:14",
        "`Users`",
    ),
    (
        "ambassador: {users: {listen: 'localhost:0'}}\n",
        "1:14",
        "missing key `to`",
    ),
    (
        "ambassador: {users: {to: 'http://a'}}\n",
        "1:14",
        "missing key `listen`",
    ),
    ("ambassadors: {}\n", "1:1", "did you mean `ambassador`"),
    ("ambassador:\n\tusers: 1\n", "2:", "not YAML"),
    ("- a list\n", "1:1", "expected a map"),
];

/// Every kind of mistake: the file, the place, the words.
fn mistakes() -> Vec<(String, &'static str, &'static str)> {
    let lines = LINES
        .iter()
        .map(|(line, place, words)| (entry(line), *place, *words));
    let targets = TARGETS
        .iter()
        .map(|(url, place, words)| (to(url), *place, *words));
    let files = FILES
        .iter()
        .map(|(text, place, words)| ((*text).to_owned(), *place, *words));
    lines.chain(targets).chain(files).collect()
}

async fn check(text: &str) -> (Output, String) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
    let output = run_in(directory.path(), &["check", "-c", "remora.yaml"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[test]
fn each_kind_of_mistake_has_its_place_its_line_and_its_remedy() {
    promise(async {
        let mut wrong = String::new();
        for (text, place, words) in mistakes() {
            let (output, said) = check(&text).await;
            let number: usize = place
                .split(':')
                .next()
                .and_then(|line| line.parse().ok())
                .expect("a line number");
            let line = text
                .lines()
                .nth(number - 1)
                .expect("the line")
                .trim()
                .replace('\t', " ");
            let good = output.status.code() == Some(2)
                && said.contains(&format!("remora.yaml:{place}"))
                && said.contains(words)
                && said.contains(line.trim())
                && said.contains('^');
            if !good {
                wrong += &format!("{text}--- {place} {words}, {:?}:\n{said}\n", output.status);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    promise(async {
        let text = "workers: 0\nambassador:\n  users:\n    listen: nowhere\n    too: http://a\n    \
                    timeout: {request: 5}\n  orders:\n    listen: localhost:0\n    to: ftp://b\n";
        let (output, said) = check(text).await;
        assert_eq!(output.status.code(), Some(2), "{said}");
        for line in [1, 4, 5, 6, 9] {
            assert!(
                said.contains(&format!("remora.yaml:{line}:")),
                "line {line}:\n{said}"
            );
        }
    });
}

#[test]
fn nothing_starts_on_a_bad_file_or_on_none() {
    promise(async {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("bad.yaml"), "ambassador: 1\n").expect("a file");
        std::fs::write(directory.path().join("empty.yaml"), "").expect("a file");
        for file in ["bad.yaml", "empty.yaml", "missing.yaml"] {
            for command in ["run", "check"] {
                let output = run_in(directory.path(), &[command, "-c", file]).await;
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(2), "{command} {file}: {said}");
                assert!(said.contains(file), "{said}");
            }
        }
    });
}

#[test]
fn a_good_file_passes_the_check() {
    promise(async {
        let text = entry("    retry: off") + "sidecar: {web: {anything: goes}}\n";
        let (output, said) = check(&text).await;
        assert_eq!(output.status.code(), Some(0), "{said}");
        let text = to("http://${REMORA_UNSET_HERE:-users.default}:8080");
        let (output, said) = check(&text).await;
        assert_eq!(output.status.code(), Some(0), "{said}");
    });
}
