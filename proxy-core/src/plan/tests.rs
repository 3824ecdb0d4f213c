//! What the words of the file become in the plan.

use std::net::SocketAddr;

use super::*;
use crate::config::parse;
use crate::http::ClientParams;
use crate::resilience::retry;

const WORLD: World<'_> = World {
    cpus: 4,
    env: &|_| None,
    usable: &|_| Ok(()),
};

fn plan(text: &str) -> Plan {
    compile(&parse(text, "remora.yaml", &|_| None).unwrap(), &WORLD).unwrap()
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
    assert_eq!(
        http.policy.retry.as_ref().map(|retry| retry.budget),
        Some(0.2)
    );
}

/// The layers' defaults, for who uses them without a file, are those of the file.
#[test]
fn the_defaults_of_the_layers_are_those_of_the_file() {
    let text = "workers: 1\nambassador: {users: {listen: localhost:9000, to: 'http://users.default:8080'}}";
    let plan = plan(text);
    let ServicePlan::Http(http) = &plan.entries[0].service else {
        panic!("not HTTP")
    };
    assert_eq!(http.client, ClientParams::default());
    let retry = http.policy.retry.as_ref().map(|retry| &retry.params);
    assert_eq!(retry, Some(&retry::Params::default()));
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

/// Where `to` leads with `discover: env` and these variables.
fn from_env(to: &str, variables: &[(&str, &str)]) -> Result<(super::Source, u16), String> {
    let text = format!("ambassador: {{a: {{listen: 'localhost:1', to: '{to}', discover: env}}}}");
    let document = parse(&text, "remora.yaml", &|_| None).unwrap();
    let env = |name: &str| {
        let found = variables.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let world = World { env: &env, ..WORLD };
    match compile(&document, &world) {
        Ok(plan) => {
            let target = &plan.entries[0].targets[0];
            Ok((target.source.clone(), target.port))
        }
        Err(errors) => Err(errors.to_string()),
    }
}

#[test]
fn a_service_is_found_in_the_environment() {
    use super::Source::{Dns, Fixed};
    let host = ("USER_DATA_SERVICE_HOST", "10.0.0.7");
    let port = ("USER_DATA_SERVICE_PORT", "81");
    let fixed = Fixed([10, 0, 0, 7].into());
    let all = [host, port, ("USER_DATA_SERVICE_PORT_H2C", "82")];
    let name = "user-data.default";
    assert_eq!(
        from_env(&format!("http://{name}"), &all),
        Ok((fixed.clone(), 81))
    );
    assert_eq!(
        from_env(&format!("h2c://{name}"), &all),
        Ok((fixed.clone(), 82))
    );
    assert_eq!(from_env("http://user-data:90", &all), Ok((fixed, 90)));
    let named = [
        ("USERS_SERVICE_HOST", "users.test"),
        ("USERS_SERVICE_PORT", "1"),
    ];
    assert_eq!(
        from_env("http://users", &named),
        Ok((Dns("users.test".into()), 1))
    );
}

#[test]
fn a_variable_that_is_missing_or_no_port_is_told() {
    let error = from_env("http://users", &[]).unwrap_err();
    assert!(
        error.contains("the variable USERS_SERVICE_HOST is not set"),
        "{error}"
    );
    assert!(error.contains("1:"), "{error}");
    let host = ("USERS_SERVICE_HOST", "10.0.0.1");
    let error = from_env("http://users", &[host]).unwrap_err();
    assert!(error.contains("USERS_SERVICE_PORT is not set"), "{error}");
    let port = ("USERS_SERVICE_PORT", "tcp://10.0.0.1:80");
    let error = from_env("http://users", &[host, port]).unwrap_err();
    assert!(error.contains("which is not a port"), "{error}");
}
