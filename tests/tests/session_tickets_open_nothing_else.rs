//! A session ticket goes on with a session where it was given, and opens nothing else: no entry with other rules for
//! client certificates, no other process, and not the same entry once its rules have changed.

use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, run_in};
use remora_tests::tls::{Caller, Met, entry, issued, meet};
use rustls::AlertDescription;

const fn answered(resumed: bool) -> Met {
    Met::Answered {
        status: 200,
        resumed,
    }
}

/// What this test's entries trust: `a` and `b` want a certificate of their own authority, `maybe` may do without one
/// of `a`'s, and `nobody` asks for none.
const ENTRIES: [(&str, &str); 4] = [
    ("a", ", client-ca: FOLDER/a.pem"),
    ("b", ", client-ca: FOLDER/b.pem"),
    ("maybe", ", client-ca: FOLDER/a.pem, client: optional"),
    ("nobody", ""),
];

#[test]
fn each_entry_has_its_own() {
    promise(async {
        let (authority, folder) = issued();
        let path = folder.path();
        let authorities = ["a", "b"].map(Authority::new);
        place(path, "a.pem", &authorities[0].pem());
        place(path, "b.pem", &authorities[1].pem());
        let origin = Origin::start(|_| async { ok("fine") });
        let url = format!("http://{}", origin.address());
        let mut config = Config::of_sidecar(&entry(&url, path, ""));
        for (name, more) in ENTRIES {
            let more = more.replace("FOLDER", &path.display().to_string());
            config = config.and(name, &entry(&url, path, &more));
        }
        let sidecar = Proxy::start(&config).await;
        let pair = authorities[0].issue(&["ann"], Validity::Now);
        let caller = Caller {
            own: Some(&pair),
            ..Caller::trusting(&authority)
        };
        for (from, _) in ENTRIES.iter().filter(|(from, _)| *from != "b") {
            for (to, _) in ENTRIES.iter().filter(|(to, _)| to != from) {
                for caller in caller.each_version() {
                    let config = caller.config();
                    let (first, second) =
                        (sidecar.address_of(from).await, sidecar.address_of(to).await);
                    for resumed in [false, true] {
                        assert_eq!(meet(first, &config).await, answered(resumed), "{from}");
                    }
                    let expected = match *to {
                        "b" => Met::Alerted(AlertDescription::UnknownCA),
                        _ => answered(false),
                    };
                    assert_eq!(meet(second, &config).await, expected, "{from} to {to}");
                }
            }
        }
        let resumed = [("entry", "b"), ("result", "resumed")];
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum("remora_tls_handshakes_total", &resumed), 0.0);
    });
}

#[test]
fn who_showed_no_certificate_needs_one_elsewhere_all_the_same() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let url = format!("http://{}", origin.address());
        let more = format!(", client-ca: {}/clients.pem", folder.path().display());
        let config = Config::of_sidecar(&entry(&url, folder.path(), ""))
            .and("closed", &entry(&url, folder.path(), &more));
        let sidecar = Proxy::start(&config).await;
        for caller in Caller::trusting(&authority).each_version() {
            let config = caller.config();
            let open = sidecar.address();
            assert_eq!(meet(open, &config).await, answered(false));
            assert_eq!(meet(open, &config).await, answered(true));
            let closed = sidecar.address_of("closed").await;
            let refused = Met::Alerted(AlertDescription::CertificateRequired);
            assert_eq!(meet(closed, &config).await, refused);
        }
    });
}

#[test]
fn another_process_shakes_hands_anew() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let url = format!("http://{}", origin.address());
        let more = format!(", client-ca: {}/clients.pem", folder.path().display());
        let config = Config::of_sidecar(&entry(&url, folder.path(), &more));
        let [one, other] = [Proxy::start(&config).await, Proxy::start(&config).await];
        let pair = authority.issue(&["ann"], Validity::Now);
        let caller = Caller {
            own: Some(&pair),
            ..Caller::trusting(&authority)
        };
        for caller in caller.each_version() {
            let config = caller.config();
            for (replica, resumed) in [(&one, false), (&one, true), (&other, false)] {
                assert_eq!(meet(replica.address(), &config).await, answered(resumed));
            }
        }
    });
}

#[test]
fn replicas_that_share_keys_go_on_with_each_others_sessions_and_no_further() {
    promise(async {
        let (authority, folder) = issued();
        let path = folder.path();
        let authorities = ["a", "b"].map(Authority::new);
        place(path, "a.pem", &authorities[0].pem());
        place(path, "b.pem", &authorities[1].pem());
        place(
            path,
            "shared",
            &format!("# of all\n{}\n", "0123456789abcdef".repeat(4)),
        );
        place(path, "own", &"fedcba9876543210".repeat(4));
        let origin = Origin::start(|_| async { ok("fine") });
        let url = format!("http://{}", origin.address());
        let replica = async |keys: &str| {
            let with = |more: &str| {
                let more = format!("{more}, tickets: FOLDER/{keys}");
                entry(
                    &url,
                    path,
                    &more.replace("FOLDER", &path.display().to_string()),
                )
            };
            let config = Config::of_sidecar(&with(", client-ca: FOLDER/a.pem"))
                .and("b", &with(", client-ca: FOLDER/b.pem"))
                .and("nobody", &with(""));
            Proxy::start(&config).await
        };
        let [one, two, stranger] = [
            replica("shared").await,
            replica("shared").await,
            replica("own").await,
        ];
        let pair = authorities[0].issue(&["ann"], Validity::Now);
        let caller = Caller {
            own: Some(&pair),
            ..Caller::trusting(&authority)
        };
        for caller in caller.each_version() {
            let config = caller.config();
            assert_eq!(meet(one.address(), &config).await, answered(false));
            for replica in [&two, &one] {
                assert_eq!(meet(replica.address(), &config).await, answered(true));
                let other = replica.address_of("b").await;
                let refused = Met::Alerted(AlertDescription::UnknownCA);
                assert_eq!(meet(other, &config).await, refused);
                // What it gets where nobody is asked for a certificate opens nothing where one is.
                let open = replica.address_of("nobody").await;
                assert_eq!(meet(open, &config).await, answered(false));
                assert_eq!(meet(one.address(), &config).await, answered(false));
            }
            assert_eq!(meet(stranger.address(), &config).await, answered(false));
        }
    });
}

#[test]
fn keys_that_cannot_be_used_are_named_and_never_shown() {
    promise(async {
        let (_authority, folder) = issued();
        let path = folder.path().display();
        place(folder.path(), "keys", "0123456789abcdef0123456789abcdefg");
        let more = format!(", tickets: {path}/keys");
        let config = Config::of_sidecar(&entry("http://localhost:1", folder.path(), &more));
        place(folder.path(), "remora.yaml", &config.text());
        let output = run_in(SIDECAR, folder.path(), &["-c", "remora.yaml"]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("line 1 is no key"), "{said}");
        assert!(said.contains("64 hexadecimal digits"), "{said}");
        assert!(!said.contains("89abcdef01"), "{said}");
    });
}

#[test]
fn other_authorities_end_what_was_begun_under_the_former_ones() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(|_| async { ok("fine") });
        let url = format!("http://{}", origin.address());
        let more = format!(", client-ca: {}/clients.pem", folder.path().display());
        let config = Config::of_sidecar(&entry(&url, folder.path(), &more));
        let sidecar = Proxy::start(&config).await;
        let pair = authority.issue(&["ann"], Validity::Now);
        let caller = Caller {
            own: Some(&pair),
            ..Caller::trusting(&authority)
        };
        let configs: Vec<_> = caller
            .each_version()
            .map(|caller| caller.config())
            .collect();
        for config in &configs {
            for resumed in [false, true] {
                assert_eq!(meet(sidecar.address(), config).await, answered(resumed));
            }
        }
        let other = Authority::new("another's");
        place(folder.path(), "clients.pem", &other.pem());
        for config in &configs {
            let refusal = until("a refusal", async || {
                let met = meet(sidecar.address(), config).await;
                (met != answered(true)).then_some(met)
            })
            .await;
            assert_eq!(refusal, Met::Alerted(AlertDescription::UnknownCA));
        }
    });
}
