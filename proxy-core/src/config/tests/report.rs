//! All mistakes of a run together: their order, their number and how they look.

use super::support::{document, entry, mistakes};

#[test]
fn all_mistakes_of_a_file_come_in_one_run() {
    let text = "\
admin: 9
access_log: of
ambassador:
  users:
    listen: 9000
    tiemout: {request: 5}
    to: gopher://a
    to: http://b
  b:
    to: [http://${NOPE}, tcp://x]
";
    let places: Vec<String> = mistakes(text)
        .iter()
        .map(|mistake| mistake.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        places,
        [
            "1:8", "2:1", "2:13", "5:13", "6:5", "6:24", "7:9", "8:5", "9:3", "10:17", "10:26"
        ]
    );
}

#[test]
fn no_more_than_fifty_mistakes_are_told() {
    let many: String = (0..200).map(|n| format!("qqqqqqqq{n}: 1\n")).collect();
    let Err(errors) = document(&many) else {
        panic!("it was accepted")
    };
    assert_eq!(errors.iter().count(), 50);
    assert!(errors.to_string().ends_with("50 errors; there may be more"));
}

/// Slow in a way that is noticed where a look-up of a place is a search of the file.
#[test]
fn each_of_thousands_of_mistakes_has_its_place() {
    let entries = |port: fn(usize) -> usize| -> String {
        let entry = |n| {
            let port = port(n);
            format!("  s{n}: {{listen: 127.0.0.1:{port}, to: http://a}}\n")
        };
        let all: String = (0..5_000).map(entry).collect();
        format!("admin: off\nambassador:\n{all}")
    };
    assert!(document(&entries(|n| 10_000 + n)).is_ok());
    let Err(errors) = document(&entries(|_| 10_000)) else {
        panic!("it was accepted")
    };
    let places: Vec<_> = errors.iter().map(|error| error.line()).collect();
    let expected: Vec<_> = (4..=5_002).map(Some).collect();
    assert_eq!(places, expected);
    let first = |error: &crate::config::Error| error.message().ends_with("is taken by `s0`");
    assert!(errors.iter().all(first));
}

#[test]
fn errors_look_like_the_compiler_s() {
    let Err(errors) = document(&entry("tiemout: {request: 5s}")) else {
        panic!("it was accepted")
    };
    let expected = "\
error: unknown key `tiemout`
 --> remora.yaml:5:5
  |
5 |     tiemout: {request: 5s}
  |     ^^^^^^^ did you mean `timeout`?

1 error";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_long_line_is_cut_around_the_mistake_and_controls_are_replaced() {
    let text = format!(
        "sidecar: \"{}\u{202e}\"\nworkers: \"{}\"",
        "x".repeat(300),
        "\u{202e}".repeat(300)
    );
    let Err(errors) = document(&text) else {
        panic!("it was accepted")
    };
    let shown = errors.to_string();
    assert!(!shown.contains('\u{202e}'));
    assert!(
        shown
            .lines()
            .filter(|line| line.starts_with("2 |"))
            .all(|line| line.chars().count() < 140)
    );
}

#[test]
fn a_later_stage_adds_errors_at_a_path() {
    let Ok(document) = document(&entry("pool: {idle: 5s}")) else {
        panic!("it was refused")
    };
    let at = |path: &[&str]| {
        let error = document.error_at(path, "wrong", "write another");
        (error.line(), error.column())
    };
    assert_eq!(at(&["ambassador", "users", "to"]), (Some(4), Some(9)));
    assert_eq!(
        at(&["ambassador", "users", "pool", "idle"]),
        (Some(5), Some(18))
    );
    assert_eq!(
        at(&["ambassador", "users", "retry", "attempts"]),
        (Some(2), Some(3))
    );
    assert_eq!(at(&["ambassador"]), (Some(1), Some(1)));
    assert_eq!(at(&["workers"]), (Some(1), Some(1)));
}
