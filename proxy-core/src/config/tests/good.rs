//! What is accepted, what it means, and that it survives being written out.

use super::support::{FULL, config, document, entry};
use crate::config::{
    AccessLog, Balance, Config, Discover, Duration, Entry, HashOn, HostPolicy, ListenAddress,
    ListenHost, OrOff, Scheme, Size, Workers, effective, schema,
};

fn first(config: &Config) -> &Entry {
    config
        .ambassador
        .values()
        .next()
        .expect("there is an entry")
}

#[test]
fn every_key_is_read() {
    let config = config(FULL);
    assert_eq!(config.access_log, AccessLog::All);
    assert!(matches!(config.workers, Workers::Fixed(count) if count.value() == 4));
    assert_eq!(
        config
            .dns
            .servers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["127.0.0.1:5353", "10.0.0.1:53"]
    );
    let database = first(&config);
    assert_eq!(
        (database.listen.host, database.listen.port),
        (ListenHost::All, 5432)
    );
    assert_eq!(database.discover, Some(Discover::Static));
    assert_eq!(database.to.scheme(), Some(Scheme::Tcp));
    assert_eq!(database.to.targets[1].weight.value(), 3);
    assert_eq!(database.retry, OrOff::Off);
    let users = config
        .ambassador
        .values()
        .nth(1)
        .expect("there is a second entry");
    assert_eq!(users.host, HostPolicy::Keep);
    assert_eq!(users.timeout.idle, OrOff::Off);
    assert_eq!(
        users.retry.on().map(|retry| retry.body),
        Some(Size::from_kib(128))
    );
}

#[test]
fn two_keys_make_an_entry_and_the_rest_has_defaults() {
    let config = config(&entry(""));
    let users = first(&config);
    assert_eq!(config.admin, OrOff::On(ListenAddress::localhost(15000)));
    assert_eq!(users.discover, Some(Discover::Dns));
    assert_eq!(users.host, HostPolicy::Upstream);
    assert_eq!(users.timeout.request, OrOff::On(Duration::from_secs(30)));
    assert_eq!(
        users.retry.on().map(|retry| retry.attempts.value()),
        Some(2)
    );
    assert_eq!(users.max_headers.bytes(), 65536);
    let again = Entry {
        discover: Some(Discover::Dns),
        ..Entry::new(users.listen, users.to.clone())
    };
    assert_eq!(*users, again);
}

#[test]
fn a_tcp_entry_may_keep_a_retry_section() {
    config("ambassador: {a: {listen: localhost:1, to: tcp://a:1, retry: {on: [connect, 5xx]}}}");
}

#[test]
fn variables_are_filled_in_anywhere_but_in_other_sections() {
    let text = "ambassador: {a: {listen: localhost:${PORT}, to: [http://${HOST}:${NOPE:-8080}]}}\nworkers: ${NOPE:-3}\n";
    let config = config(&format!("{text}sidecar: {{a: '${{NOPE}} $x'}}"));
    assert_eq!(first(&config).listen, ListenAddress::localhost(9000));
    assert_eq!(
        first(&config).to.targets[0].to.to_string(),
        "http://users:8080"
    );
    assert!(matches!(config.workers, Workers::Fixed(count) if count.value() == 3));
    // An empty variable counts as unset where there is a default, as in a shell.
    assert!(document("workers: ${EMPTY:-auto}").is_ok());
    let Err(errors) = document("admin: $${HOST}") else {
        panic!("it was accepted")
    };
    assert!(
        errors.to_string().contains("`${HOST}` is not an address"),
        "{errors}"
    );
}

#[test]
fn quotes_carriage_returns_and_a_byte_order_mark_are_taken() {
    let text = "\u{feff}\"admin\": 'off'\r\nambassador:\r\n  8080:\r\n    listen: \"localhost:${PORT}\"\r\n    to: http://A.b/\r\n";
    let config = config(text);
    assert_eq!(config.admin, OrOff::Off);
    assert_eq!(first(&config).to.targets[0].to.to_string(), "http://a.b:80");
}

#[test]
fn the_effective_configuration_reads_back_equal() {
    for text in [FULL.to_owned(), entry(""), "workers: auto".to_owned()] {
        let first = config(&text);
        let written = effective(&first);
        assert_eq!(config(&written), first, "{written}");
        assert_eq!(effective(&config(&written)), written);
    }
}

/// Two entries with every default.
const EFFECTIVE: &str = "\
admin: localhost:15000
workers: auto
access-log: errors
splice: true
explain: local
drain:
  delay: 0s
  timeout: 30s
dns:
  servers: []
  timeout: 2s
  attempts: 2
ambassador:
  users:
    listen: localhost:9000
    to: http://users:8080
    discover: dns
    host: upstream
    timeout:
      request: 30s
      try: off
      connect: 1s
      field: x-request-timeout-ms
      idle: 5m
    retry:
      attempts: 2
      on: [connect, reset, timeout, 502-504]
      budget: 20%
      floor: 10/s
      body: 64KiB
      backoff: 25ms
      max-backoff: 250ms
      after: 2s
      methods: [GET, HEAD, OPTIONS, TRACE, PUT, DELETE]
    hedge: off
    limit:
      in-flight: off
    inject: off
    mirror: off
    paths: {}
    eject:
      failures: 5
      share: 20%
      slow: off
      for: 10s
      at-most: 50%
      recover: 10s
    health: off
    balance: p2c
    subset: off
    send-proxy: off
    pool:
      connections: 1024
      pending: 1024
      streams: 100
      idle: 1m
      age: 10m
    max-headers: 64KiB
";

#[test]
fn the_effective_configuration_keeps_the_order_of_the_grammar() {
    let written = effective(&config(&entry("")));
    assert_eq!(written, EFFECTIVE);
}

#[test]
fn the_schema_knows_keys_units_and_limits() {
    let schema: serde_json::Value = serde_json::from_str(schema()).expect("JSON");
    let at = |pointer: &str| {
        schema
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer}"))
    };
    assert_eq!(at("/additionalProperties"), false);
    assert_eq!(at("/properties/access-log/default"), "errors");
    assert_eq!(
        at("/$defs/Entry/required"),
        &serde_json::json!(["listen", "to"])
    );
    assert_eq!(
        at("/$defs/Entry/properties/discover/$ref"),
        "#/$defs/Discover"
    );
    assert_eq!(at("/$defs/Duration/examples/0"), "5s");
    assert!(
        at("/$defs/Duration/pattern")
            .as_str()
            .is_some_and(|pattern| pattern.contains("ms|s|m|h"))
    );
    assert_eq!(at("/$defs/Retry/properties/attempts/anyOf/0/maximum"), 10);
    assert!(!schema.to_string().contains("super::"));
}

#[test]
fn every_way_to_balance_is_read_and_written_out() {
    for (text, wanted) in [
        ("p2c", Balance::P2c),
        ("least", Balance::Least),
        ("round-robin", Balance::RoundRobin),
        ("{hash: source}", Balance::Hash(HashOn::Source)),
        (
            "{hash: {cookie: session}}",
            Balance::Hash(HashOn::Cookie("session".into())),
        ),
        (
            "{hash: {header: X-User}}",
            Balance::Hash(HashOn::Header("x-user".parse().expect("a name"))),
        ),
    ] {
        let read = config(&entry(&format!("balance: {text}")));
        assert_eq!(first(&read).balance, wanted, "{text}");
        let written = effective(&read);
        assert_eq!(first(&config(&written)).balance, wanted, "{written}");
    }
}

#[test]
fn every_way_to_discover_is_read_and_written_out() {
    for (text, wanted) in [
        ("dns", Discover::Dns),
        ("srv", Discover::Srv),
        ("env", Discover::Env),
        ("{file: /a/b}", Discover::File("/a/b".into())),
    ] {
        let text = format!(
            "ambassador: {{a: {{listen: 'localhost:1', to: 'http://users', discover: {text}}}}}"
        );
        let read = config(&text);
        assert_eq!(first(&read).discover, Some(wanted.clone()), "{text}");
        let written = effective(&read);
        assert_eq!(first(&config(&written)).discover, Some(wanted), "{written}");
    }
}

#[test]
fn health_checks_are_read_and_written_out() {
    let text = entry("health: {path: /healthz, every: 2s, failures: 3}");
    let read = config(&text);
    let health = first(&read).health.on().expect("it is on").clone();
    assert_eq!(health.path.as_deref(), Some("/healthz"));
    assert_eq!(
        (health.every, health.timeout),
        (Duration::from_secs(2), Duration::from_secs(1))
    );
    let written = effective(&read);
    assert_eq!(
        first(&config(&written)).health.on(),
        Some(&health),
        "{written}"
    );
}

#[test]
fn policies_are_read_and_written_out() {
    for more in [
        "limit: {in-flight: 100}",
        "limit: {in-flight: adaptive}",
        "hedge: {after: 50ms}",
        "inject: {delay: {share: 10%, for: 2s}, abort: {share: 5%}}",
        "mirror: {to: http://users-next:8080}",
        "mirror: {to: [http://10.0.0.1, {to: http://10.0.0.2, weight: 3}], share: 10%}",
        "mirror: {to: https://users-next, tls: {ca: ca.pem}}\n    paths: {/a: {mirror: off}}",
        "mirror: {to: http://users, discover: env}",
        "paths: {/reports: {mirror: {to: h2c://reports-next, share: 0%}}}",
        "timeout: {field: off}",
        "timeout: {field: X-Time}",
        "paths: {/reports: {timeout: {request: 1m, try: off}, retry: off}, /a/b: {hedge: {budget: 1%}}}",
    ] {
        let read = config(&entry(more));
        let written = effective(&read);
        assert_eq!(config(&written), read, "{written}");
    }
    let read = config(&entry("paths: {/reports: {retry: {attempts: 1}}}"));
    let policy = first(&read).paths.get("/reports").expect("it is there");
    let retry = policy.retry.as_ref().and_then(OrOff::on).expect("it is on");
    assert_eq!(retry.attempts.value(), 1);
    assert_eq!(policy.timeout.request, None);
}

#[test]
fn a_mirror_has_the_defaults_of_its_own_to() {
    let settings = "mirror: {to: https://10.0.0.1}\n    paths: {/a: {mirror: {to: http://b}}}";
    let read = config(&entry(settings));
    let mirror = first(&read).mirror.on().expect("it is on");
    assert_eq!(mirror.share.percent(), 100);
    assert_eq!(mirror.discover, Some(Discover::Static));
    assert!(mirror.tls.is_some());
    let path = first(&read).paths["/a"].mirror.as_ref();
    let mirror = path.and_then(OrOff::on).expect("it is on");
    assert_eq!(mirror.discover, Some(Discover::Dns));
    assert!(mirror.tls.is_none());
}
