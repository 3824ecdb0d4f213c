//! A hickory-server says everything that a name server can say, true or not: the endpoints never
//! vanish once there were some, and no name is ever asked for twice at once.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{get, once};
use remora_tests::config::Config;
use remora_tests::load::Load;
use remora_tests::nameserver::{NameServer, Say};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};

const NAME: &str = "users.test";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99));

/// Two replicas, at [`HERE`] and [`THERE`], and an entry that leads to them by name.
async fn serving(dns: &NameServer, more: &str) -> (Vec<Origin>, Ambassador) {
    let origins = Origin::replicas(2, |_| async { ok("fine") });
    let port = origins[0].address().port();
    let config = Config::of(&format!("to: http://{NAME}:{port}\n{more}"));
    let ambassador = Ambassador::start(&config.with(&dns.setting())).await;
    (origins, ambassador)
}

async fn endpoints(ambassador: &Ambassador, count: f64) {
    ambassador
        .metric("remora_endpoints", &[("entry", "users")], |value| {
            value == count
        })
        .await;
}

#[test]
fn every_time_to_live_is_lived_with() {
    promise(async {
        let dns = NameServer::start().await;
        dns.set(NAME, Say::Addresses(vec![HERE], 0));
        let (_origins, ambassador) = serving(&dns, "").await;
        // Zero is asked again, but no sooner than after a second: two kinds of records each time.
        let begun = std::time::Instant::now();
        dns.asked_again(NAME, 4).await;
        assert!(
            begun.elapsed() >= Duration::from_millis(1500),
            "{:?}",
            begun.elapsed()
        );
        // 2^31 is no time at all (RFC 2181, section 8), and no reason to forget anything.
        dns.set(NAME, Say::Addresses(vec![HERE, THERE], 1 << 31));
        endpoints(&ambassador, 2.0).await;
        dns.asked_again(NAME, 4).await;
        once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(dns.most_in_flight(), 1);
    });
}

#[test]
fn many_addresses_come_over_tcp() {
    promise(async {
        let dns = NameServer::start().await;
        let many =
            (0..300u16).map(|n| IpAddr::from([127, 1, (n / 250) as u8, (n % 250) as u8 + 1]));
        dns.set(NAME, Say::Addresses(many.collect(), 60));
        let (_origins, ambassador) = serving(&dns, "").await;
        endpoints(&ambassador, 300.0).await;
    });
}

#[test]
fn lies_are_not_believed() {
    promise(async {
        let dns = NameServer::start().await;
        dns.set(NAME, Say::Spoofed(HERE, NOWHERE));
        let (_origins, ambassador) = serving(&dns, "retry: off").await;
        let load = Load::start(ambassador.address(), 100, |_| get("/"));
        dns.asked_again(NAME, 6).await;
        load.stop().await.assert_none_failed();
        endpoints(&ambassador, 1.0).await;
    });
}

#[test]
fn services_come_and_go() {
    promise(async {
        let dns = NameServer::start().await;
        let origins = Origin::replicas(2, |_| async { ok("fine") });
        let port = origins[0].address().port();
        dns.set("one.test", Say::Addresses(vec![HERE], 1));
        dns.set("two.test", Say::Addresses(vec![THERE], 1));
        let both = vec![(0, 1, port, "one.test"), (1, 1, port, "two.test")];
        dns.set("_http._tcp.users.test", Say::Services(both, 1));
        let config = Config::of("to: http://_http._tcp.users.test\ndiscover: srv");
        let ambassador = Ambassador::start(&config.with(&dns.setting())).await;
        endpoints(&ambassador, 2.0).await;
        once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!((origins[0].count(), origins[1].count()), (1, 0));
        let second = vec![(0, 1, port, "two.test")];
        dns.set("_http._tcp.users.test", Say::Services(second, 1));
        endpoints(&ambassador, 1.0).await;
        dns.set("_http._tcp.users.test", Say::Code(ResponseCode::ServFail));
        dns.asked_again("_http._tcp.users.test", 2).await;
        once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(origins[1].count(), 1);
        assert_eq!(dns.most_in_flight(), 1);
    });
}

#[test]
fn a_name_is_asked_for_once_at_a_time() {
    promise(async {
        let dns = NameServer::start().await;
        dns.set(NAME, Say::Addresses(vec![HERE], 1));
        dns.delay(Duration::from_millis(150));
        let origins = Origin::replicas(1, |_| async { ok("fine") });
        let port = origins[0].address().port();
        let to = format!("to: http://{NAME}:{port}");
        let config = Config::of(&to).and("again", &to).and("more", &to);
        let ambassador = Ambassador::start(&config.with(&dns.setting())).await;
        let load = Load::start(ambassador.address(), 100, |_| get("/"));
        dns.asked_again(NAME, 8).await;
        load.stop().await.assert_none_failed();
        assert_eq!(dns.most_in_flight(), 1);
    });
}

/// A minute of everything, in turns, under load.
#[test]
fn a_minute_of_flapping() {
    promise(async {
        let dns = NameServer::start().await;
        dns.set(NAME, Say::Addresses(vec![HERE, THERE], 1));
        let (_origins, ambassador) = serving(&dns, "").await;
        endpoints(&ambassador, 2.0).await;
        let load = Load::start(ambassador.address(), 50, |_| get("/"));
        let begun = std::time::Instant::now();
        let turns = [
            Say::Code(ResponseCode::NXDomain),
            Say::Addresses(vec![HERE], 0),
            Say::Code(ResponseCode::ServFail),
            Say::Silence,
            Say::Addresses(vec![HERE, THERE], 1 << 31),
            Say::Code(ResponseCode::NoError),
            Say::Spoofed(THERE, NOWHERE),
            Say::Code(ResponseCode::Refused),
            Say::Addresses(vec![THERE], 1),
        ];
        for turn in turns.iter().cycle() {
            dns.set(NAME, turn.clone());
            dns.asked_again(NAME, 2).await;
            let count = ambassador.metrics().await.sum("remora_endpoints", &[]);
            assert!(count >= 1.0, "no endpoint after {turn:?}");
            if begun.elapsed() > Duration::from_secs(60) {
                break;
            }
        }
        load.stop().await.assert_none_failed();
        // What stays is the truth.
        dns.set(NAME, Say::Addresses(vec![HERE, THERE], 1));
        until("both endpoints", async || {
            let count = ambassador.metrics().await.sum("remora_endpoints", &[]);
            (count == 2.0).then_some(())
        })
        .await;
        assert_eq!(dns.most_in_flight(), 1);
    });
}
