//! `discover` decides where endpoints come from: SRV records, the environment, or a file that is watched.

use std::net::SocketAddr;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{get, once};
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};

fn upstream(name: &'static str) -> Origin {
    Origin::start(move |_| async move { ok(name) })
}

async fn answered_by(ambassador: &Ambassador) -> String {
    let reply = once(ambassador.address(), get("/")).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

/// Asks until this upstream answers.
async fn comes_to(ambassador: &Ambassador, name: &str) {
    until(&format!("an answer of {name}"), async || {
        (answered_by(ambassador).await == name).then_some(())
    })
    .await;
}

fn loopback() -> Answer {
    Answer::Addresses(vec!["127.0.0.1".parse().expect("an address")], 1)
}

#[test]
fn srv_records_say_host_and_port_and_who_goes_first() {
    promise(async {
        let (first, second) = (upstream("first"), upstream("second"));
        let dns = Dns::start().await;
        for host in ["one.test", "two.test"] {
            dns.set(host, loopback());
        }
        let services = |one: u16, two: u16| {
            let service = |priority, origin: &Origin, host: &str| {
                (priority, 1, origin.address().port(), host.to_owned())
            };
            let both = [
                service(one, &first, "one.test"),
                service(two, &second, "two.test"),
            ];
            Answer::Services(both.into(), 1)
        };
        let name = "_http._tcp.users.test";
        dns.set(name, services(10, 20));
        let settings = format!("to: http://{name}\ndiscover: srv");
        let config = Config::of(&settings).with(&dns.setting());
        let ambassador = Ambassador::start(&config).await;
        for _ in 0..20 {
            assert_eq!(answered_by(&ambassador).await, "first");
        }
        dns.set(name, services(20, 10));
        comes_to(&ambassador, "second").await;
        // What is known serves on when the name is gone.
        dns.set(name, Answer::NoSuchName);
        let stale = [("entry", "users")];
        ambassador
            .metric("remora_discovery_stale", &stale, |value| value == 1.0)
            .await;
        assert_eq!(answered_by(&ambassador).await, "second");
        assert_eq!(first.requests()[0].headers["host"], "users.test");
    });
}

#[test]
fn a_lower_priority_serves_when_the_higher_one_is_down() {
    promise(async {
        let (mut first, second) = (upstream("first"), upstream("second"));
        let dns = Dns::start().await;
        dns.set("host.test", loopback());
        let service = |priority, origin: &Origin| {
            let port = origin.address().port();
            (priority, 1, port, "host.test".to_owned())
        };
        let both = vec![service(1, &first), service(2, &second)];
        dns.set("users.test", Answer::Services(both, 60));
        let config = Config::of("to: http://users.test\ndiscover: srv").with(&dns.setting());
        let ambassador = Ambassador::start(&config).await;
        assert_eq!(answered_by(&ambassador).await, "first");
        first.kill().await;
        // Retries hide what it takes to find that out.
        for _ in 0..20 {
            assert_eq!(answered_by(&ambassador).await, "second");
        }
    });
}

#[test]
fn the_environment_names_host_and_port() {
    promise(async {
        let origin = upstream("from the environment");
        let config = Config::of("to: http://user-data.default\ndiscover: env");
        let SocketAddr::V4(address) = origin.address() else {
            panic!("an IPv4 address");
        };
        let variables = [
            ("USER_DATA_SERVICE_HOST", address.ip().to_string()),
            ("USER_DATA_SERVICE_PORT", address.port().to_string()),
        ];
        let ambassador = Ambassador::with_env(&config, &variables).await;
        assert_eq!(answered_by(&ambassador).await, "from the environment");
        assert_eq!(origin.requests()[0].headers["host"], "user-data.default");
    });
}

#[test]
fn a_file_is_followed_and_a_bad_one_changes_nothing() {
    promise(async {
        let (first, second) = (upstream("first"), upstream("second"));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("endpoints");
        let write = |text: &str| {
            let new = folder.path().join("new");
            std::fs::write(&new, text).expect("a file");
            std::fs::rename(new, &file).expect("a file in its place");
        };
        write(&format!("{} # the only one\n", first.address()));
        let settings = format!("to: http://users\ndiscover: {{file: '{}'}}", file.display());
        let ambassador = Ambassador::start(&Config::of(&settings)).await;
        assert_eq!(answered_by(&ambassador).await, "first");
        write(&format!("{}\n", second.address()));
        comes_to(&ambassador, "second").await;
        for bad in ["nonsense\n", ""] {
            write(bad);
            let stale = |value: f64| value == 1.0;
            ambassador
                .metric("remora_discovery_stale", &[], stale)
                .await;
            assert_eq!(answered_by(&ambassador).await, "second");
        }
        write(&format!("{}\n", first.address()));
        comes_to(&ambassador, "first").await;
    });
}
