//! The demo's parts that need no clock and no socket, and one that needs a socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::ambassador::configuration;
use super::names::{NAME, TTL, answer};
use super::run::introduction;
use super::screen::Screen;
use super::script::{Act, LENGTH, Script};
use super::table::{Ejected, HEADINGS, Picture, Row, State, line, table, thousands};
use super::tally::{Sum, Tally, percentile};

const WIDTH: usize = 80;

fn ask(name: &str, kind: RecordType) -> Message {
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    let reply = answer(&question.to_vec().unwrap(), &addresses).unwrap();
    Message::from_vec(&reply).unwrap()
}

#[test]
fn the_name_has_its_addresses_with_a_short_time_to_live() {
    let reply = ask("SHOP.demo.", RecordType::A);
    assert_eq!(reply.metadata.id, 7);
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert_eq!(reply.answers.len(), 2);
    assert!(reply.answers.iter().all(|record| record.ttl == TTL));
    assert!(matches!(&reply.answers[1].data, RData::A(a) if a.0 == Ipv4Addr::new(127, 0, 0, 2)));
}

#[test]
fn the_name_has_no_other_records_and_other_names_do_not_exist() {
    let reply = ask(NAME, RecordType::AAAA);
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert!(reply.answers.is_empty());
    let reply = ask("shop.demo.example.", RecordType::A);
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer(b"no question", &[]), None);
}

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
fn every_act_comes_once_and_in_time() {
    let mut script = Script::default();
    assert_eq!(script.due(Duration::ZERO), None);
    let acts: Vec<Act> = std::iter::from_fn(|| script.due(LENGTH)).collect();
    assert_eq!(acts, [Act::Kill, Act::Forget, Act::Add]);
}

#[test]
fn the_configuration_is_five_good_lines() {
    let text = configuration(SocketAddr::from(([127, 0, 0, 1], 65535)), NAME, 65535);
    assert_eq!(text.lines().count(), 5);
    let shown = introduction(&text);
    assert!(shown.lines().all(|line| line.len() <= WIDTH), "{shown}");
    let document = proxy_core::config::parse(&text, "the demo", &|_| None).unwrap();
    let loaded = proxy_core::runtime::Loaded::compile(&document).unwrap();
    assert_eq!(loaded.plan.entries.len(), 1);
}

fn row(last: u8, state: State, requests: u64, ejected: Ejected) -> Row {
    Row {
        address: SocketAddr::from(([127, 0, 0, last], 65535)),
        state,
        in_dns: state != State::Killed,
        requests,
        ejected,
    }
}

fn picture() -> Picture {
    Picture {
        rows: vec![
            row(1, State::Serving, 1_234_567, Ejected::No),
            row(2, State::Failing, 1000, Ejected::Now),
            row(3, State::Killed, 0, Ejected::Before),
            row(4, State::New, 999, Ejected::No),
        ],
        seen: Sum {
            requests: 2700,
            failures: 0,
            p50: Duration::from_micros(4130),
            p99: Duration::from_millis(1250),
        },
        tries: 2789,
        retries: 89,
        ejections: 1,
    }
}

#[test]
fn the_table_is_aligned_and_fits_eighty_columns() {
    let text = table(&picture());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    let starts = |column: &str, value: &str, line: usize| {
        assert_eq!(lines[0].find(column), lines[line].find(value), "{text}");
    };
    let ends = |column: &str, value: &str, line: usize| {
        let end = |line: &str, part: &str| line.find(part).map(|start| start + part.len());
        assert_eq!(end(lines[0], column), end(lines[line], value), "{text}");
    };
    starts("state", "fails 30 %", 2);
    starts("in DNS", "no", 3);
    ends("requests", "1,234,567", 1);
    ends("share", "0.1 %", 2);
    starts("ejected", "before", 3);
    assert!(lines.contains(&"p99          1250.0 ms"), "{text}");
}

#[test]
fn a_line_has_its_figures_under_the_headings() {
    let text = line(&picture(), 10);
    assert_eq!(text.len(), HEADINGS.len());
    assert!(text.len() <= WIDTH);
    assert_eq!(
        text,
        "t=10s     2,700       89    2,789          1    4.1 ms 1250.0 ms         0"
    );
}

#[test]
fn thousands_are_set_apart() {
    let shown = [0, 999, 1000, 12_345_678].map(thousands);
    assert_eq!(shown, ["0", "999", "1,000", "12,345,678"]);
}

#[test]
fn a_terminal_is_redrawn_and_a_pipe_gets_a_line_a_second() {
    let seconds = Duration::from_secs;
    let show = |alive| {
        let mut bytes = Vec::new();
        let mut screen = Screen::new(&mut bytes, alive);
        for tenths in 0..=20 {
            let now = Duration::from_millis(tenths * 100);
            if screen.is_due(now) {
                screen.show(now, &picture()).unwrap();
            }
        }
        screen
            .announce(Duration::from_millis(2100), "something")
            .unwrap();
        assert_eq!(
            screen.is_due(seconds(2) + Duration::from_millis(100)),
            alive
        );
        String::from_utf8(bytes).unwrap()
    };
    let (alive, plain) = (show(true), show(false));
    assert_eq!(alive.matches("\x1b[14A\x1b[J").count(), 11);
    assert!(alive.ends_with("\x1b[Jt=2.1s something\n"));
    assert!(!plain.contains('\x1b'));
    let told: Vec<&str> = plain.lines().collect();
    assert_eq!(told.len(), 4, "{plain}");
    assert!(told[1].starts_with("t=1s ") && told[2].starts_with("t=2s "));
}
