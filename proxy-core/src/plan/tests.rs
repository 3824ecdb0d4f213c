//! What the words of the file become in the plan.

use std::net::SocketAddr;

use super::*;
use crate::config::parse;
use crate::http::ClientParams;
use crate::resilience::{limit, retry};

const WORLD: World<'_> = World {
    cpus: 4,
    env: &|_| None,
    usable: &|_| Ok(()),
    servable: &|_| Ok(()),
    read: &|_| Ok(Vec::new()),
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

/// An entry with every policy, and mirrors of its own and of a path.
const MIRRORED: &str = "explain: all
ambassador:
  users:
    listen: localhost:9000
    to: http://users.default:8080
    host: keep
    timeout: {request: off, connect: 2s}
    hedge: {}
    inject: {abort: {share: 1%}}
    health: {}
    limit: {in-flight: 7}
    mirror: {to: h2c://users-next, share: 10%}
    paths:
      /a: {retry: off}
      /b: {mirror: off}
      /c: {timeout: {request: 1s}, mirror: {to: http://10.0.0.1}}
  users-2: {listen: localhost:9001, to: http://users}
";

fn http(entry: &EntryPlan) -> &HttpPlan {
    match &entry.service {
        ServicePlan::Http(http) => http,
        ServicePlan::Tcp(_) => panic!("not HTTP"),
    }
}

#[test]
fn a_request_is_copied_as_its_path_says() {
    let plan = plan(MIRRORED);
    let names: Vec<&str> = plan.entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(
        names,
        ["users", "users/mirror", "users/mirror/c", "users-2"]
    );
    let hidden: Vec<bool> = plan.entries.iter().map(EntryPlan::is_hidden).collect();
    assert_eq!(hidden, [false, true, true, false]);
    let policies = http(&plan.entries[0]).policies();
    let to = policies.map(|(path, policy)| {
        let mirror = policy.mirror.as_ref();
        (path, mirror.map(|to| (&*to.entry, to.params.share)))
    });
    let to: Vec<_> = to.collect();
    assert_eq!(
        to,
        [
            ("", Some(("users/mirror", 0.1))),
            ("/a", Some(("users/mirror", 0.1))),
            ("/b", None),
            ("/c", Some(("users/mirror/c", 1.0))),
        ]
    );
}

#[test]
fn a_mirror_becomes_an_entry_that_listens_nowhere_and_repeats_nothing() {
    let plan = plan(MIRRORED);
    for (index, wait) in [(1, 30), (2, 1)] {
        let entry = &plan.entries[index];
        let http = http(entry);
        assert!(entry.listen.is_empty());
        assert_eq!((entry.health.as_ref(), http.paths.len()), (None, 0));
        assert_eq!(http.explain, crate::http::Allowed::Nobody);
        assert_eq!(http.limit, Some(limit::Params::Fixed(1000)));
        assert!(http.client.keep_host && http.client.connect.as_secs() == 2);
        let policy = RequestPlan {
            request_timeout: Some(std::time::Duration::from_secs(wait)),
            try_timeout: None,
            retry: None,
            hedge: None,
            inject: None,
            mirror: None,
        };
        assert_eq!(http.policy, policy, "{}", entry.name);
    }
}

#[test]
fn what_a_mirror_needs_of_the_machine_is_told_at_its_place() {
    let text = "ambassador:
  users:
    listen: localhost:9000
    to: http://users.default:8080
    mirror: {to: http://next, discover: env}
    paths:
      /a:
        mirror: {to: https://next, tls: {ca: ca.pem}}
";
    let world = World {
        usable: &|_| {
            Err(crate::tls::Unusable {
                part: crate::tls::Part::Ca,
                message: "no".into(),
                help: "none",
            })
        },
        ..WORLD
    };
    let document = parse(text, "remora.yaml", &|_| None).unwrap();
    let errors = compile(&document, &world).unwrap_err().to_string();
    assert!(errors.contains("NEXT_SERVICE_HOST is not set"), "{errors}");
    assert!(errors.contains("remora.yaml:5:18"), "{errors}");
    assert!(errors.contains("remora.yaml:8:46"), "{errors}");
}

#[test]
fn an_inbound_entry_tells_who_called_and_gates_readiness() {
    let text = "sidecar:
  web:
    listen: :8443
    to: http://localhost:8080
    health: {}
    forwarded: {trust: [10.0.0.0/8], fields: [forwarded]}
    mirror: {to: http://next}
";
    let section = crate::config::Section::Sidecar;
    let document = section.parse(text, "remora.yaml", &|_| None).unwrap();
    let plan = compile(&document, &WORLD).unwrap();
    assert!(!plan.drain_quiet && plan.drain_delay.as_secs() == 5);
    let [web, copies] = &plan.entries[..] else {
        panic!("{:?}", plan.entries)
    };
    assert!(web.health.as_ref().is_some_and(|health| health.gates));
    let forward = http(web).forward.as_ref().unwrap();
    assert!(forward.forwarded && !forward.x_forwarded && !forward.secure);
    assert!(forward.trust[0].contains([10, 1, 2, 3].into()));
    assert!(http(web).client.keep_host && http(web).client.repeatable.is_empty());
    // A copy says what its request did.
    assert_eq!(
        (http(copies).forward.as_ref(), copies.is_mirror),
        (None, true)
    );
    let empty = section
        .parse("admin: off", "remora.yaml", &|_| None)
        .unwrap();
    let errors = compile(&empty, &WORLD).unwrap_err().to_string();
    assert!(errors.contains("there is nothing to serve"), "{errors}");
}

/// Routes that lead to the same service in the same way share its entry.
#[test]
fn a_gateway_becomes_a_listener_and_an_entry_for_each_upstream() {
    let text = "ingress:
  edge:
    listen: :8080
    routes:
      a.test: http://one
      b.test/x: {to: http://one, rewrite: {prefix: /}}
      'GET,POST c.test': {to: http://one, timeout: {request: 1s}}
      d.test: {to: http://two, mirror: {to: http://next}}
      e.test: {respond: {status: 204}}
";
    let section = crate::config::Section::Ingress;
    let document = section.parse(text, "remora.yaml", &|_| None).unwrap();
    let plan = compile(&document, &WORLD).unwrap();
    let names: Vec<(&str, bool, bool)> = plan
        .entries
        .iter()
        .map(|entry| (&*entry.name, entry.is_hidden(), entry.is_mirror))
        .collect();
    assert_eq!(
        names,
        [
            ("edge/one:80", true, false),
            ("edge/one:80-2", true, false),
            ("edge/two:80", true, false),
            ("edge/two:80/mirror", true, true),
            ("edge", false, false),
        ]
    );
    let routes = http(&plan.entries[4]).routes.as_deref().unwrap();
    assert_eq!((routes.table.table().len(), routes.routes.len()), (6, 5));
    assert!(!plan.drain_quiet);
    assert!(http(&plan.entries[0]).client.keep_host);
    assert!(http(&plan.entries[0]).forward.is_some());
    let again = compile(&document, &WORLD).unwrap();
    assert!(plan == again, "two plans of one file are equal");
}
