//! An address that DNS no longer gives gets no new request within a second of its TTL, on pooled
//! connections neither; a new one gets its share.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use remora_tests::ambassador::Ambassador;
use remora_tests::client::get;
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::load::Load;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

const NAME: &str = "users.test";
const TTL: u32 = 2;

#[test]
fn a_removed_address_gets_no_new_request() {
    promise(async {
        let dns = Dns::start().await;
        let origins = Origin::replicas(3, |_| async { ok("fine") });
        let ips: Vec<IpAddr> = origins.iter().map(|origin| origin.address().ip()).collect();
        let port = origins[0].address().port();
        dns.set(NAME, Answer::Addresses(vec![ips[0], ips[1]], TTL));
        let config = Config::of(&format!("to: http://{NAME}:{port}")).with(&dns.setting());
        let ambassador = Ambassador::start(&config).await;
        let load = Load::start(ambassador.address(), 100, |_| get("/"));
        origins[0].received(20).await;
        origins[1].received(20).await;

        dns.set(NAME, Answer::Addresses(vec![ips[1], ips[2]], TTL));
        let removed = Instant::now();
        let last_moment = removed + Duration::from_secs(u64::from(TTL) + 1);
        origins[2].received(1).await;
        // The load goes on well past the moment, so that a straggler would be seen.
        loop {
            load.done_more(50).await;
            if Instant::now() > last_moment + Duration::from_secs(2) {
                break;
            }
        }
        // However slow its first answers were, the new address comes into its own.
        origins[2].received(51).await;
        load.stop().await.assert_none_failed();
        let late = origins[0]
            .requests()
            .into_iter()
            .filter(|request| request.at > last_moment);
        assert_eq!(late.count(), 0, "requests to the removed address");
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_endpoints", &[("entry", "users")]), 2.0);
    });
}

#[test]
fn an_answer_too_long_for_udp_is_fetched_over_tcp() {
    promise(async {
        let dns = Dns::start().await;
        let origin = Origin::start(|_| async { ok("fine") });
        dns.set(NAME, Answer::OverTcp(vec![origin.address().ip()], 60));
        let to = format!("to: http://{NAME}:{}", origin.address().port());
        let ambassador = Ambassador::start(&Config::of(&to).with(&dns.setting())).await;
        let load = Load::start(ambassador.address(), 100, |_| get("/"));
        load.done(5).await;
        load.stop().await.assert_none_failed();
    });
}
