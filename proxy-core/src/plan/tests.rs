//! What the words of the file become in the plan.

use std::net::SocketAddr;

use super::*;
use crate::config::parse;

fn plan(text: &str) -> Plan {
    compile(&parse(text, "remora.yaml", &|_| None).unwrap(), 4).unwrap()
}

#[test]
fn the_shortest_file_gets_every_default() {
    let plan = plan(
        "ambassador:\n  users:\n    listen: localhost:9000\n    to: http://users.default:8080\n",
    );
    assert_eq!(plan.workers, 4);
    let entry = &plan.entries[0];
    assert_eq!(
        entry.listen,
        [
            "127.0.0.1:9000".parse().unwrap(),
            "[::1]:9000".parse::<SocketAddr>().unwrap()
        ]
    );
    assert_eq!(entry.targets[0].source, Source::Dns("users.default".into()));
    assert_eq!(entry.targets[0].authority, "users.default:8080");
    let ServicePlan::Http(http) = &entry.service else {
        panic!("not HTTP")
    };
    assert_eq!(
        http.client.connections, 256,
        "a quarter of the process's limit"
    );
    assert_eq!(http.retry.as_ref().map(|retry| retry.budget), Some(0.2));
}

#[test]
fn off_is_none_and_tcp_is_not_http() {
    let plan = plan(
        "workers: 2\nambassador:\n  db:\n    listen: 127.0.0.1:1\n    to: tcp://10.0.0.1:5432\n    retry: off\n    eject: off\n    timeout: {idle: off}\n",
    );
    assert_eq!(plan.workers, 2);
    assert_eq!(plan.entries[0].eject, None);
    let ServicePlan::Tcp(tcp) = &plan.entries[0].service else {
        panic!("not TCP")
    };
    assert_eq!((tcp.attempts, tcp.idle), (0, None));
}
