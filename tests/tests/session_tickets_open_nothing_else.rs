//! A session ticket goes on with a session where it was given, and opens nothing else: no entry with other rules for
//! client certificates, no other process, and not the same entry once its rules have changed.

use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
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
