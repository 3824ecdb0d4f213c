//! NXDOMAIN, SERVFAIL, silence and an empty answer leave the last good addresses in use, and the
//! next good answer replaces them.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::get;
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::load::Load;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

const NAME: &str = "users.test";

#[test]
fn after_nxdomain() {
    promise(survives(Answer::NoSuchName));
}

#[test]
fn after_servfail() {
    promise(survives(Answer::Failure));
}

#[test]
fn after_silence() {
    promise(survives(Answer::Silence));
}

#[test]
fn after_an_empty_answer() {
    promise(survives(Answer::Empty));
}

async fn survives(failure: Answer) {
    let dns = Dns::start().await;
    let origins = Origin::replicas(2, |_| async { ok("fine") });
    let port = origins[0].address().port();
    dns.set(NAME, Answer::Addresses(vec![origins[0].address().ip()], 1));
    let config = Config::of(&format!("to: http://{NAME}:{port}")).with(&dns.setting());
    let ambassador = Ambassador::start(&config).await;
    let load = Load::start(ambassador.address(), 50, |_| get("/"));
    load.done(20).await;

    dns.set(NAME, failure);
    dns.asked_again(NAME, 6).await;
    let stale = [("entry", "users")];
    ambassador
        .metric("remora_discovery_stale", &stale, |value| value == 1.0)
        .await;
    load.done_more(50).await;
    let failed = [("entry", "users"), ("result", "failed")];
    ambassador
        .metric("remora_discovery_resolutions_total", &failed, |value| {
            value >= 1.0
        })
        .await;
    assert_eq!(ambassador.ask("GET", "/readyz").await.status, 200);

    dns.set(NAME, Answer::Addresses(vec![origins[1].address().ip()], 1));
    origins[1].received(20).await;
    ambassador
        .metric("remora_discovery_stale", &stale, |value| value == 0.0)
        .await;
    load.stop().await.assert_none_failed();
}
