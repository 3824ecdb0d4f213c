//! `balance` decides which endpoint gets a request: in turn, the least busy, or the same for the same key.

use std::collections::HashMap;

use http::{HeaderValue, Request};
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, get};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

/// Four upstreams that say who they are.
fn upstreams() -> Vec<Origin> {
    (0..4)
        .map(|number| Origin::start(move |_| async move { ok(number.to_string()) }))
        .collect()
}

async fn serving(origins: &[Origin], more: &str) -> (Ambassador, Connection) {
    let to: Vec<String> = origins
        .iter()
        .map(|origin| format!("'http://{}'", origin.address()))
        .collect();
    let settings = format!("to: [{}]\n{more}", to.join(", "));
    let config = remora_tests::config::Config::of(&settings).with("workers: 1");
    let ambassador = Ambassador::start(&config).await;
    let connection = Connection::open(ambassador.address(), Protocol::Http1)
        .await
        .expect("open");
    (ambassador, connection)
}

fn with(name: &'static str, value: &str) -> Request<Body> {
    let mut request = get("/");
    let value = HeaderValue::from_str(value).expect("a value");
    request.headers_mut().insert(name, value);
    request
}

async fn answered_by(connection: &mut Connection, request: Request<Body>) -> String {
    let reply = connection.fetch(request).await.expect("an answer");
    assert_eq!(reply.status, 200);
    reply.text()
}

#[test]
fn round_robin_takes_turns() {
    promise(async {
        let origins = upstreams();
        let (_ambassador, mut connection) = serving(&origins, "balance: round-robin").await;
        for _ in 0..40 {
            answered_by(&mut connection, get("/")).await;
        }
        let counts: Vec<usize> = origins.iter().map(Origin::count).collect();
        assert_eq!(counts, [10; 4]);
    });
}

#[test]
fn a_hash_of_a_header_or_a_cookie_sticks() {
    promise(async {
        for (policy, name, prefix) in [
            ("{header: X-User}", "x-user", ""),
            ("{cookie: session}", "cookie", "a=b; session="),
        ] {
            let origins = upstreams();
            let more = format!("balance: {{hash: {policy}}}");
            let (_ambassador, mut connection) = serving(&origins, &more).await;
            let mut homes = HashMap::new();
            for round in 0..3 {
                for user in 0..60 {
                    let request = with(name, &format!("{prefix}user-{user}"));
                    let by = answered_by(&mut connection, request).await;
                    let home = homes.entry(user).or_insert_with(|| by.clone());
                    assert_eq!(*home, by, "{policy}: user {user} in round {round}");
                }
            }
            let used = origins.iter().filter(|origin| origin.count() > 0).count();
            assert_eq!(used, 4, "{policy}: every upstream has some of 60 users");
            // A request without the key is served all the same.
            answered_by(&mut connection, get("/")).await;
        }
    });
}

#[test]
fn a_hash_of_the_source_sends_all_of_one_workload_to_one_upstream() {
    promise(async {
        let origins = upstreams();
        let (_ambassador, mut connection) = serving(&origins, "balance: {hash: source}").await;
        for _ in 0..20 {
            answered_by(&mut connection, get("/")).await;
        }
        let mut counts: Vec<usize> = origins.iter().map(Origin::count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [0, 0, 0, 20]);
    });
}

#[test]
fn least_avoids_the_upstream_that_is_busy() {
    promise(async {
        let stuck = Origin::start(|_| remora_tests::origin::hang());
        let free = Origin::start(|_| async { ok("free") });
        let origins = [stuck, free];
        let more = "balance: least\nretry: off\ntimeout: {request: off}";
        let (ambassador, mut connection) = serving(&origins, more).await;
        // One that hangs is enough for the other to have fewer from then on.
        let mut held = loop {
            let mut other = Connection::open(ambassador.address(), Protocol::Http1)
                .await
                .expect("open");
            let mut flight = tokio::spawn(async move { other.fetch(get("/")).await });
            tokio::select! {
                _ = &mut flight => {}
                _ = origins[0].received(1) => break flight,
            }
        };
        for _ in 0..50 {
            assert_eq!(answered_by(&mut connection, get("/")).await, "free");
        }
        held.abort();
        let _ = (&mut held).await;
    });
}
