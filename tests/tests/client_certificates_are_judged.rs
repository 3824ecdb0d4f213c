//! Of the certificates that callers present none gets in that is not valid; each refusal is counted by its reason,
//! and the caller is told by the alert that is meant for it.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, NameConstraints, SerialNumber,
};
use remora_tests::certificates::{Authority, Pair, Validity, place};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
use remora_tests::tls::{Caller, Met, issued, meet, settings};
use rustls::AlertDescription;

const HANDSHAKES: &str = "remora_tls_handshakes_total";

/// A certificate, and what becomes of it: nothing but an answer, or a reason and an alert (RFC 8446, 6.2).
type Case = (&'static str, Pair, Option<(&'static str, AlertDescription)>);

/// Whom the sidecar trusts.
struct Trusted {
    any: Authority,
    /// May issue for `*.inside.example` alone.
    narrow: Authority,
    /// Has no revocation list, where the others have.
    unlisted: Authority,
}

impl Trusted {
    fn new() -> Self {
        let inside = GeneralSubtree::DnsName("inside.example".to_owned());
        Self {
            any: Authority::new("clients"),
            narrow: Authority::with("narrow", |params| {
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: vec![inside],
                    excluded_subtrees: Vec::new(),
                });
            }),
            unlisted: Authority::new("unlisted"),
        }
    }
}

fn numbered(serial: u64) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.serial_number = Some(SerialNumber::from(serial))
}

/// Those that are valid.
fn good(trusted: &Trusted) -> Vec<Case> {
    let Trusted { any, narrow, .. } = trusted;
    let for_clients = any.issue_with(&["ann"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let inside = narrow.issue(&["a.inside.example"], Validity::Now);
    vec![
        ("a good one", any.issue(&["ann"], Validity::Now), None),
        ("one for clients", for_clients, None),
        ("a name that its authority may issue for", inside, None),
    ]
}

/// Those that are not, one for each reason.
fn bad(trusted: &Trusted) -> Vec<Case> {
    use AlertDescription as Alert;
    let Trusted {
        any,
        narrow,
        unlisted,
    } = trusted;
    let refused = |what, pair, result, alert| (what, pair, Some((result, alert)));
    let expired = any.issue(&["ann"], Validity::Expired);
    let future = any.issue(&["ann"], Validity::Future);
    let for_servers = any.issue_with(&["ann"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let other = Authority::new("others").issue(&["ann"], Validity::Now);
    // It calls itself as one that is trusted does, and has another key.
    let forged = Authority::new("clients").issue(&["ann"], Validity::Now);
    let outside = narrow.issue(&["a.outside.example"], Validity::Now);
    let revoked = any.issue_with(&["ann"], numbered(7));
    let untold = unlisted.issue(&["ann"], Validity::Now);
    let own = Pair::self_made("ann");
    let ended = Alert::CertificateExpired;
    let unsuited = Alert::UnsupportedCertificate;
    let unknown = Alert::CertificateUnknown;
    vec![
        refused("expired", expired, "expired", ended),
        refused("not valid yet", future, "not-yet-valid", ended),
        refused("for servers", for_servers, "wrong-usage", unsuited),
        refused("another's", other, "unknown-ca", Alert::UnknownCA),
        refused("forged", forged, "bad-certificate", Alert::DecryptError),
        refused("of a wrong name", outside, "name-constraint", unknown),
        refused("revoked", revoked, "revoked", Alert::CertificateRevoked),
        refused("in no list", untold, "revocation-unknown", Alert::UnknownCA),
        refused("self-signed", own, "unknown-ca", Alert::UnknownCA),
    ]
}

/// A sidecar that trusts them all, and its workload.
async fn judging(trusted: &Trusted, client: &str) -> (Authority, tempfile::TempDir, Origin, Proxy) {
    let (authority, folder) = issued();
    let Trusted {
        any,
        narrow,
        unlisted,
    } = trusted;
    let authorities = any.pem() + &narrow.pem() + &unlisted.pem();
    place(folder.path(), "clients.pem", &authorities);
    place(
        folder.path(),
        "revoked.pem",
        &(any.revokes(&[7]) + &narrow.revokes(&[])),
    );
    let origin = Origin::start(|_| async { ok("fine") });
    let path = folder.path().display();
    let more =
        format!(", client-ca: {path}/clients.pem, client: {client}, crl: [{path}/revoked.pem]");
    let url = format!("http://{}", origin.address());
    let sidecar = Proxy::start(&settings(&url, folder.path(), &more)).await;
    (authority, folder, origin, sidecar)
}

async fn counted(sidecar: &Proxy, result: &str) -> f64 {
    let labels = [("entry", "web"), ("result", result)];
    sidecar.metrics().await.sum(HANDSHAKES, &labels)
}

#[test]
fn none_that_is_not_valid_gets_in() {
    promise(async {
        let trusted = Trusted::new();
        for client in ["required", "optional"] {
            let (authority, _folder, origin, sidecar) = judging(&trusted, client).await;
            let mut answered = 0;
            for (what, pair, refused) in [good(&trusted), bad(&trusted)].concat() {
                let own = Some(&pair);
                let caller = Caller {
                    own,
                    ..Caller::trusting(&authority)
                };
                for caller in caller.each_version() {
                    let what = format!("{what} where it is {client}");
                    let result = refused.map_or("full", |(result, _)| result);
                    let before = counted(&sidecar, result).await;
                    let met = meet(sidecar.address(), &caller.config()).await;
                    match refused {
                        None => {
                            answered += 1;
                            let (status, resumed) = (200, false);
                            assert_eq!(met, Met::Answered { status, resumed }, "{what}");
                        }
                        Some((_, alert)) => assert_eq!(met, Met::Alerted(alert), "{what}"),
                    }
                    let labels = [("entry", "web"), ("result", result)];
                    sidecar
                        .metric(HANDSHAKES, &labels, |now| now == before + 1.0)
                        .await;
                }
            }
            assert_eq!(origin.count(), answered);
        }
    });
}

#[test]
fn a_caller_without_one_gets_in_only_where_it_is_optional() {
    promise(async {
        let trusted = Trusted::new();
        for (client, expected) in [("required", None), ("optional", Some((200, false)))] {
            let (authority, _folder, origin, sidecar) = judging(&trusted, client).await;
            for caller in Caller::trusting(&authority).each_version() {
                let met = meet(sidecar.address(), &caller.config()).await;
                let expected = match expected {
                    None => Met::Alerted(AlertDescription::CertificateRequired),
                    Some((status, resumed)) => Met::Answered { status, resumed },
                };
                assert_eq!(met, expected, "{client}");
            }
            let (refused, taken) = if expected.is_none() {
                (2.0, 0)
            } else {
                (0.0, 2)
            };
            let labels = [("entry", "web"), ("result", "no-certificate")];
            sidecar
                .metric(HANDSHAKES, &labels, |now| now == refused)
                .await;
            assert_eq!(origin.count(), taken);
        }
    });
}

#[test]
fn a_ticket_does_not_outlive_the_certificate_that_it_was_given_for() {
    promise(async {
        let trusted = Trusted::new();
        let (authority, _folder, origin, sidecar) = judging(&trusted, "required").await;
        // Shortly before the end tickets are not taken any more, so this is long enough to see one that is.
        let end = SystemTime::now() + Duration::from_secs(20);
        let brief = trusted.any.issue_with(&["ann"], |params| {
            params.not_after = end.into();
        });
        let own = Some(&brief);
        let caller = Caller {
            own,
            ..Caller::trusting(&authority)
        };
        let configs: Vec<_> = caller
            .each_version()
            .map(|caller| caller.config())
            .collect();
        for config in &configs {
            for resumed in [false, true] {
                let met = meet(sidecar.address(), config).await;
                assert_eq!(
                    met,
                    Met::Answered {
                        status: 200,
                        resumed
                    }
                );
            }
        }
        // In the end a whole handshake says what is wrong.
        let alert = AlertDescription::CertificateExpired;
        for config in &configs {
            let refusal = until("a refusal", async || {
                let met = meet(sidecar.address(), config).await;
                (!matches!(met, Met::Answered { .. })).then_some(met)
            })
            .await;
            assert_eq!(refusal, Met::Alerted(alert));
            let served = origin.count();
            assert_eq!(meet(sidecar.address(), config).await, Met::Alerted(alert));
            assert_eq!(origin.count(), served);
        }
    });
}

#[test]
fn a_ticket_does_not_outlive_the_revocation_of_its_certificate() {
    promise(async {
        let trusted = Trusted::new();
        let (authority, folder, _origin, sidecar) = judging(&trusted, "required").await;
        let pair = trusted.any.issue_with(&["ann"], numbered(8));
        let own = Some(&pair);
        let caller = Caller {
            own,
            ..Caller::trusting(&authority)
        };
        let configs: Vec<_> = caller
            .each_version()
            .map(|caller| caller.config())
            .collect();
        for config in &configs {
            for resumed in [false, true] {
                let met = meet(sidecar.address(), config).await;
                assert_eq!(
                    met,
                    Met::Answered {
                        status: 200,
                        resumed
                    }
                );
            }
        }
        let lists = trusted.any.revokes(&[7, 8]) + &trusted.narrow.revokes(&[]);
        place(folder.path(), "revoked.pem", &lists);
        for config in &configs {
            let refusal = until("a refusal", async || {
                let met = meet(sidecar.address(), config).await;
                (!matches!(met, Met::Answered { .. })).then_some(met)
            })
            .await;
            let alert = AlertDescription::CertificateRevoked;
            assert_eq!(refusal, Met::Alerted(alert));
        }
        // It is counted behind the alert.
        let labels = [("entry", "web"), ("result", "revoked")];
        sidecar
            .metric(HANDSHAKES, &labels, |count| count == 2.0)
            .await;
    });
}
