//! The parts of a demo that need no socket.

use std::time::Duration;

use super::figures::{millis, share, thousands};
use super::{Picture, Screen, Script, Tally, percentile};

#[test]
fn percentiles_are_nearest_ranks() {
    let hundred: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
    assert_eq!(percentile(&hundred, 50), Duration::from_millis(50));
    assert_eq!(percentile(&hundred, 99), Duration::from_millis(99));
    assert_eq!(percentile(&hundred[..3], 50), Duration::from_millis(2));
    assert_eq!(percentile(&hundred[..1], 99), Duration::from_millis(1));
    assert_eq!(percentile(&[], 99), Duration::ZERO);
}

#[test]
fn failures_are_counted_by_kind() {
    let tally = Tally::default();
    tally.record(Duration::from_millis(1), Ok(()));
    for _ in 0..2 {
        tally.record(
            Duration::from_millis(3),
            Err(anyhow::anyhow!("reset").context("no answer")),
        );
    }
    let sum = tally.sum();
    assert_eq!((sum.requests, sum.failures), (3, 2));
    assert_eq!(tally.failures(), [("no answer: reset".to_owned(), 2)]);
}

#[test]
fn figures_are_written_for_people() {
    let shown = [0, 999, 1000, 12_345_678].map(thousands);
    assert_eq!(shown, ["0", "999", "1,000", "12,345,678"]);
    assert_eq!(
        (share(1, 8), share(0, 0)),
        ("12.5 %".into(), "0.0 %".into())
    );
    assert_eq!(millis(Duration::from_micros(4130)), "4.1 ms");
}

#[test]
fn acts_come_once_and_in_time() {
    const ACTS: &[(Duration, char)] =
        &[(Duration::from_secs(1), 'a'), (Duration::from_secs(2), 'b')];
    let mut script = Script::new(ACTS);
    assert_eq!(script.due(Duration::ZERO), None);
    assert_eq!(script.due(Duration::from_secs(1)), Some('a'));
    assert_eq!(script.due(Duration::from_secs(1)), None);
    assert_eq!(script.due(Duration::from_secs(9)), Some('b'));
    assert_eq!(script.due(Duration::from_secs(9)), None);
}

struct Lines(usize);

impl Picture for Lines {
    const HEADINGS: &'static str = "time";

    fn table(&self) -> String {
        "x\n".repeat(self.0)
    }

    fn line(&self, second: u64) -> String {
        format!("t={second}s")
    }
}

#[test]
fn a_terminal_is_redrawn_and_a_pipe_gets_a_line_a_second() {
    let show = |alive| {
        let mut bytes = Vec::new();
        let mut screen = Screen::new(&mut bytes, alive);
        for tenths in 0..=20 {
            let now = Duration::from_millis(tenths * 100);
            if screen.is_due(now) {
                screen.show(now, &Lines(13)).unwrap();
            }
        }
        let late = Duration::from_millis(2100);
        screen.announce(late, "something").unwrap();
        assert_eq!(screen.is_due(late), alive);
        String::from_utf8(bytes).unwrap()
    };
    let (alive, plain) = (show(true), show(false));
    assert_eq!(alive.matches("\x1b[14A\x1b[J").count(), 11);
    assert!(alive.ends_with("\x1b[Jt=2.1s something\n"));
    assert!(!plain.contains('\x1b'));
    let told: Vec<&str> = plain.lines().collect();
    assert_eq!(told, ["time", "t=1s", "t=2s", "t=2.1s something"]);
}
