//! The examples of the library run to their end by themselves and print what they say they show.

use std::process::Stdio;

use remora_tests::process::example;
use remora_tests::promise::{expect, promise};

/// Runs an example and returns what it printed.
async fn printed(name: &str) -> String {
    let mut command = example(name);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = expect("the end of an example", command.output())
        .await
        .expect("the example starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{name}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// What stands behind `label` in its line.
fn value<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no line begins with `{label}` in\n{text}"))
}

#[test]
fn a_proxy_lives_inside_another_program() {
    promise(async {
        let text = printed("embed").await;
        assert_eq!(
            text,
            "ready: true\n\
             GET /ann: hello, ann\n\
             GET /bob: hello, bob\n\
             requests sent to the service: 2\n\
             listens still: false\n"
        );
    });
}

#[test]
fn layers_retry_what_is_safe_within_the_budget() {
    promise(async {
        let text = printed("layer").await;
        let healthy = text.lines().filter(|line| line.starts_with("GET /users"));
        assert!(healthy.clone().count() == 10, "{text}");
        assert!(
            healthy
                .clone()
                .all(|line| line.ends_with(": 200 OK, calls: 1"))
        );
        assert_eq!(value(&text, "retries earned: "), "2.0");
        assert_eq!(value(&text, "GET /flaky: "), "200 OK, calls: 3");
        assert_eq!(value(&text, "retries left: "), "1.2");
        let refused = value(&text, "POST /down: ");
        assert_eq!(refused, "503 Service Unavailable, calls: 1");
        let calls = value(&text, "100 requests of a service that is down: ");
        let calls: u32 = calls
            .split(' ')
            .next()
            .and_then(|calls| calls.parse().ok())
            .unwrap_or_else(|| panic!("no number in {calls}"));
        assert!((101..=121).contains(&calls), "{text}");
    });
}

#[test]
fn requests_follow_the_endpoints_of_a_source() {
    promise(async {
        let text = printed("custom_discovery").await;
        assert_eq!(
            text,
            "one is there: one 6\n\
             two has come: one 2, two 4\n\
             one has gone: two 6\n\
             none is told: two 6\n\
             stale: true, 1 endpoint\n"
        );
    });
}
