//! Flags alone make entries: `default`, `default-2` and so on, one for each `--listen` and `--to`.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{get, once};
use remora_tests::dns::{Answer, Dns};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

#[test]
fn two_pairs_of_flags_make_two_entries() {
    promise(async {
        let (one, two) = (
            Origin::start(|_| async { ok("1") }),
            Origin::start(|_| async { ok("2") }),
        );
        let (to_one, to_two) = (
            format!("http://{}", one.address()),
            format!("http://{}", two.address()),
        );
        let ambassador = Ambassador::with_flags(&[
            "--listen",
            "127.0.0.1:0",
            "--to",
            &to_one,
            "--listen",
            "127.0.0.1:0",
            "--to",
            &to_two,
            "--workers",
            "1",
        ])
        .await;
        let second = ambassador.address_of("default-2").await;
        let text = once(ambassador.address(), get("/"))
            .await
            .expect("an answer")
            .text();
        assert_eq!(text, "1");
        assert_eq!(once(second, get("/")).await.expect("an answer").text(), "2");
    });
}

#[test]
fn a_name_server_can_be_given_as_a_flag() {
    promise(async {
        let dns = Dns::start().await;
        let origin = Origin::start(|_| async { ok("found") });
        dns.set(
            "users.test",
            Answer::Addresses(vec![origin.address().ip()], 60),
        );
        let server = dns.address().to_string();
        let to = format!("http://users.test:{}", origin.address().port());
        let flags = [
            "run",
            "--listen",
            "127.0.0.1:0",
            "--to",
            &to,
            "--dns-server",
            &server,
        ];
        let ambassador = Ambassador::with_flags(&flags).await;
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(reply.text(), "found");
    });
}
