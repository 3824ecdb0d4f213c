//! `/readyz` is false until every entry has been resolved once or its deadline has passed; `/livez`
//! is true throughout.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{get, once};
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

#[test]
fn not_ready_before_the_first_resolution() {
    promise(async {
        let dns = Dns::start().await;
        let origin = Origin::start(|_| async { ok("fine") });
        dns.set("users.test", Answer::Silence);
        let to = format!("to: http://users.test:{}", origin.address().port());
        let slow = format!("dns: {{servers: ['{}'], timeout: 3s}}", dns.address());
        let ambassador = Ambassador::launch(&Config::of(&to).with(&slow)).await;
        dns.asked_again("users.test", 1).await;
        let reply = ambassador.ask("GET", "/readyz").await;
        assert_eq!(reply.status, 503);
        assert!(
            reply.text().contains("users"),
            "it says what it waits for: {}",
            reply.text()
        );
        assert_eq!(ambassador.ask("GET", "/livez").await.status, 200);

        dns.set(
            "users.test",
            Answer::Addresses(vec![origin.address().ip()], 60),
        );
        let available = [("entry", "users"), ("state", "available")];
        ambassador
            .metric("remora_endpoints", &available, |value| value == 1.0)
            .await;
        ambassador.ready().await;
        assert_eq!(ambassador.ask("GET", "/readyz").await.status, 200);
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(reply.text(), "fine");
    });
}

#[test]
fn ready_after_the_deadline_even_without_an_answer() {
    promise(async {
        let dns = Dns::start().await;
        dns.set("users.test", Answer::Failure);
        let config = Config::of("to: http://users.test").with(&dns.setting());
        let ambassador = Ambassador::launch(&config).await;
        ambassador.ready().await;
        assert_eq!(ambassador.ask("GET", "/readyz").await.status, 200);
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert!(
            matches!(reply.status.as_u16(), 502..=504),
            "{}",
            reply.status
        );
        assert_eq!(reply.proxy_error(), "dns_error");
    });
}

#[test]
fn the_admin_listener_answers_what_it_knows_and_no_more() {
    promise(async {
        let ambassador = Ambassador::serving("to: http://127.0.0.1:1").await;
        assert_eq!(ambassador.ask("GET", "/nothing").await.status, 404);
        assert_eq!(ambassador.ask("GET", "/drain").await.status, 405);
        assert_eq!(ambassador.ask("POST", "/metrics").await.status, 405);
        // A name that a page of elsewhere has made to lead here reads nothing.
        for (host, status) in [
            ("rebound.test", 421),
            ("[::1]:15000", 200),
            ("[::1]", 200),
            ("LocalHost.:1", 200),
            ("127.0.0.1", 200),
        ] {
            let mut request = get("/config");
            let host = host.parse().expect("a value");
            request.headers_mut().insert("host", host);
            let reply = once(ambassador.admin().await, request).await;
            assert_eq!(reply.expect("an answer").status, status);
        }
        let metrics = ambassador.ask("GET", "/metrics").await;
        assert!(
            metrics
                .header("content-type")
                .starts_with("text/plain; version=0.0.4")
        );
    });
}
