//! The demo's parts that need no clock and no socket, and one that needs a socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::ambassador::configuration;
use super::names::{NAME, TTL, answer};
use super::run::introduction;
use super::script::{ACTS, LENGTH};
use super::table::{Ejected, Picture, Row, State};
use proxy_cli::demo::{Picture as _, Sum};

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
fn every_act_comes_in_order_and_before_the_end() {
    assert!(ACTS.is_sorted_by_key(|(at, _)| *at));
    assert!(ACTS.iter().all(|(at, _)| *at < LENGTH));
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
    let text = picture().table();
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
    let text = picture().line(10);
    assert_eq!(text.len(), Picture::HEADINGS.len());
    assert!(text.len() <= WIDTH);
    assert_eq!(
        text,
        "t=10s     2,700       89    2,789          1    4.1 ms 1250.0 ms         0"
    );
}
