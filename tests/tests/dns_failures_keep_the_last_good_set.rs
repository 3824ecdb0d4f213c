//! NXDOMAIN, SERVFAIL, silence and an empty answer leave the last good addresses in use, and the
//! next good answer replaces them; so do one family that fails alone and a reload that names other
//! servers.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::get;
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::load::Load;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use rustix::process::Signal;

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

#[test]
fn after_a_reload_to_servers_that_do_not_answer() {
    promise(async {
        let (good, silent) = (Dns::start().await, Dns::start().await);
        let origin = Origin::start(|_| async { ok("fine") });
        let addresses = vec![origin.address().ip()];
        good.set(NAME, Answer::Addresses(addresses, 1));
        silent.set(NAME, Answer::Silence);
        let config = Config::of(&format!("to: http://{NAME}:{}", origin.address().port()));
        let ambassador = Ambassador::start(&config.clone().with(&good.setting())).await;
        let load = Load::start(ambassador.address(), 50, |_| get("/"));
        load.done(20).await;

        ambassador.rewrite(&config.with(&silent.setting()).text());
        ambassador.signal(Signal::HUP);
        until("questions to the new servers", async || {
            (silent.asked(NAME) >= 4).then_some(())
        })
        .await;
        load.done_more(50).await;
        assert_eq!(ambassador.ask("GET", "/readyz").await.status, 200);
        let available = [("entry", "users"), ("state", "available")];
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_endpoints", &available), 1.0);
        load.stop().await.assert_none_failed();
    });
}

#[test]
fn of_one_family_while_the_other_answers() {
    promise(async {
        for failure in [Answer::Failure, Answer::Silence] {
            keeps_the_family(failure).await;
        }
    });
}

/// The A records fail while the AAAA records name an address where nobody listens.
async fn keeps_the_family(failure: Answer) {
    let dns = Dns::start().await;
    let origin = Origin::start(|_| async { ok("fine") });
    let old = Answer::Addresses(vec![origin.address().ip()], 1);
    let new = Answer::Addresses(vec!["::1".parse().expect("an address")], 1);
    dns.set(NAME, Answer::Each(Box::new(old), Box::new(new.clone())));
    let settings = format!(
        "to: http://{NAME}:{}\nretry: {{floor: 1000/s}}",
        origin.address().port()
    );
    let config = Config::of(&settings).with(&dns.setting());
    let ambassador = Ambassador::start(&config).await;
    let load = Load::start(ambassador.address(), 50, |_| get("/"));
    load.done(20).await;

    dns.set(NAME, Answer::Each(Box::new(failure), Box::new(new)));
    dns.asked_again(NAME, 6).await;
    let stale = [("entry", "users")];
    ambassador
        .metric("remora_discovery_stale", &stale, |value| value == 1.0)
        .await;
    load.done_more(50).await;
    let metrics = ambassador.metrics().await;
    // The kept one; the new one leads nowhere.
    assert_eq!(metrics.sum("remora_endpoints", &stale), 1.0);
    load.stop().await.assert_none_failed();
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
