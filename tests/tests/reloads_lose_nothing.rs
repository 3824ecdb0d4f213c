//! A hundred reloads under load, asked for in all three ways: no request fails.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{get, once};
use remora_tests::config::Config;
use remora_tests::lines::says;
use remora_tests::load::Load;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::scripted::refusing;
use rustix::process::Signal;

#[test]
fn a_hundred_reloads_under_load() {
    promise(async {
        let origins = [0; 3].map(|_| Origin::start(|_| async { ok("fine") }));
        let addresses = origins.each_ref().map(Origin::address);
        // The entry that takes the load stays on one port, so that no reload has a reason to move it.
        let (own, _held) = refusing();
        let port = own.port();
        let config = |round: usize| change(round, &addresses, port);
        let ambassador = Ambassador::start(&config(0)).await;
        let load = Load::start(ambassador.address(), 200, |_| get("/"));
        load.done(20).await;
        for round in 1..=100 {
            ambassador.rewrite(&config(round).text());
            match round % 3 {
                0 => ambassador.signal(Signal::HUP),
                1 => assert!(ambassador.ask("POST", "/reload").await.status.is_success()),
                _ => {} // The change of the file is noticed by itself.
            }
            let name = format!("round-{round}:");
            until(&format!("reload {round}"), async || {
                ambassador
                    .ask("GET", "/config")
                    .await
                    .text()
                    .contains(&name)
                    .then_some(())
            })
            .await;
            load.done_more(4).await;
        }
        load.stop().await.assert_none_failed();
        let metrics = ambassador.metrics().await;
        assert!(metrics.sum("remora_config_reloads_total", &[("result", "ok")]) >= 100.0);
        assert_eq!(metrics.sum("remora_config_reload_success", &[]), 1.0);
    });
}

#[test]
fn what_changes_no_connection_keeps_connections() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = |more: &str| {
            let users = format!("to: http://{}\n{more}", origin.address());
            Config::of(&users).with("workers: 1")
        };
        let ambassador = Ambassador::start(&config("")).await;
        // Each after another one, and the connections that were made by then.
        for (more, connects) in [
            ("", 1.0),
            ("timeout: {request: 7s}", 1.0),
            (
                "retry: {attempts: 1}\neject: {for: 3s}\nbalance: least",
                1.0,
            ),
            ("pool: {idle: 30s}", 2.0),
            ("pool: {idle: 30s}\nlimit: {in-flight: 3}", 2.0),
        ] {
            ambassador.rewrite(&config(more).text());
            let answer = ambassador.ask("POST", "/reload").await;
            assert!(answer.status.is_success(), "{}", answer.text());
            let answer = once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
            assert_eq!(answer.status, 200);
            let metrics = ambassador.metrics().await;
            let made = metrics.sum("remora_upstream_connects_total", &[("result", "ok")]);
            assert_eq!(made, connects, "{more}");
        }
    });
}

#[test]
fn a_bad_file_changes_nothing() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let good = Config::of(&format!("to: http://{}", origin.address()));
        let ambassador = Ambassador::start(&good).await;
        let load = Load::start(ambassador.address(), 100, |_| get("/"));
        ambassador.rewrite("ambassador: {users: {listen: nowhere, too: much}}\n");
        ambassador.signal(Signal::HUP);
        let rejected = |line: &serde_json::Value| says(line, "configuration rejected");
        ambassador
            .log
            .find("line `configuration rejected`", rejected)
            .await;
        ambassador
            .metric("remora_config_reload_success", &[], |value| value == 0.0)
            .await;
        let answer = ambassador.ask("POST", "/reload").await;
        assert!(
            !answer.status.is_success(),
            "{}: {}",
            answer.status,
            answer.text()
        );
        load.done_more(50).await;
        ambassador.rewrite(&good.clone().with("drain: {timeout: 7s}").text());
        ambassador.signal(Signal::HUP);
        ambassador
            .metric("remora_config_reload_success", &[], |value| value == 1.0)
            .await;
        // Back to what runs, after a mistake: that is said too.
        let good = good.with("drain: {timeout: 7s}").text();
        ambassador.rewrite("ambassador: {}\n");
        ambassador
            .metric("remora_config_reload_success", &[], |value| value == 0.0)
            .await;
        ambassador.rewrite(&good);
        let again = |line: &serde_json::Value| says(line, "the configuration is again what runs");
        ambassador.log.find("that it is good again", again).await;
        load.stop().await.assert_none_failed();
    });
}

#[test]
fn without_a_file_there_is_nothing_to_read_again() {
    promise(async {
        let flags = ["--listen", "127.0.0.1:0", "--to", "http://127.0.0.1:1"];
        let ambassador = Ambassador::with_flags(&flags).await;
        let answer = ambassador.ask("POST", "/reload").await;
        assert_eq!(answer.status, 422);
        assert!(
            answer.text().contains("without a file"),
            "{}",
            answer.text()
        );
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_config_reload_success", &[]), 1.0);
    });
}

/// A file that differs from round to round in where it goes to, how it tries, and what else it serves.
fn change(round: usize, origins: &[std::net::SocketAddr; 3], port: u16) -> Config {
    let all = origins.map(|address| format!("'http://{address}'"));
    let some = &all[..=round % 3];
    let attempts = 1 + round % 3;
    let users = format!(
        "listen: 127.0.0.1:{port}\nto: [{}]\nretry: {{attempts: {attempts}}}",
        some.join(", ")
    );
    Config::of(&users).and(&format!("round-{round}"), &format!("to: {}", some[0]))
}
