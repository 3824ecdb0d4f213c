//! Shorthand for the tests of the configuration.

use crate::config::{Config, Document, Errors, parse};

/// A file that uses every key.
pub(super) const FULL: &str = r#"
admin: localhost:15000
workers: 4
access-log: all
drain: {delay: 5s, timeout: 1m}
dns: {servers: ["127.0.0.1:5353", 10.0.0.1], timeout: 3s, attempts: 3}
ambassador:
  users:
    listen: localhost:9000
    to: http://users.default:8080
    discover: dns
    host: keep
    timeout: {request: 5s, try: 1s, connect: 500ms, idle: off}
    retry:
      attempts: 3
      on: [connect, reset, timeout, unavailable, 429, 502-504, 5xx]
      budget: 25%
      floor: 5/s
      body: 128KiB
      backoff: 10ms
      max-backoff: 1s
      methods: [GET, PUT]
    eject: {failures: 3, for: 20s, at-most: 40%, recover: 5s}
    balance: p2c
    pool: {connections: 10, pending: 0, streams: 50, idle: 30s, age: off}
    max-headers: 32KiB
  database:
    listen: "*:5432"
    to: [tcp://10.0.0.1:5432, {to: "tcp://[fd00::1]:5432", weight: 3}]
    retry: off
    eject: off
sidecar:
  web: {listen: 0.0.0.0:8443, tls: {cert: "${NOT_SET_HERE}"}}
"#;

/// The smallest entry, with more of its keys in `{}`.
pub(super) fn entry(more: &str) -> String {
    format!(
        "ambassador:\n  users:\n    listen: localhost:9000\n    to: http://users:8080\n    {more}\n"
    )
}

/// Reads a text in an environment where `PORT` is `9000`, `HOST` is `users` and `EMPTY` is empty.
pub(super) fn document(text: &str) -> Result<Document, Errors> {
    parse(text, "remora.yaml", &|name| match name {
        "PORT" => Some("9000".to_owned()),
        "HOST" => Some("users".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    })
}

/// Reads a text that is right.
#[track_caller]
pub(super) fn config(text: &str) -> Config {
    match document(text) {
        Ok(document) => document.config,
        Err(errors) => panic!("{errors}"),
    }
}

/// Every error of a text as `line:column message | help`.
#[track_caller]
pub(super) fn mistakes(text: &str) -> Vec<String> {
    let Err(errors) = document(text) else {
        panic!("it was accepted:\n{text}")
    };
    let place = |n: Option<usize>| n.map_or("-".to_owned(), |n| n.to_string());
    let all = errors.iter().map(|error| {
        let (line, column) = (place(error.line()), place(error.column()));
        format!("{line}:{column} {} | {}", error.message(), error.help())
    });
    all.collect()
}

/// Checks that a text has this one error.
#[track_caller]
pub(super) fn assert_mistake(text: &str, expected: &str) {
    assert_eq!(mistakes(text), [expected]);
}
