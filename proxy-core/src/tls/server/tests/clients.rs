//! Certificates of clients: none that is not valid gets in, and each refusal has its reason.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, GeneralSubtree,
    KeyIdMethod, KeyPair, NameConstraints, PKCS_ECDSA_P256_SHA256, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

use rustls::pki_types::UnixTime;

use super::super::clients::Clients;
use super::super::validity::{learned, learned_in};
use super::support::*;
use crate::telemetry::HandshakeResult;
use crate::tls::{
    Acceptor, AcceptorParams, Authorities, ClientPolicy, InvalidPart, PeerNames, client_cert,
    client_cert_chain,
};

const NAME: &str = "a.example.com";

/// A list of `ca` that revokes these serial numbers and is valid until that year.
fn revocation_list(ca: &Ca, revoked: &[u64], until: i32) -> String {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2020, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(ca).unwrap().pem().unwrap()
}

fn client(ca: &Ca, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
    issue_with(ca, names, &PKCS_ECDSA_P256_SHA256, change)
}

fn acceptor(
    folder: &Path,
    policy: fn(Authorities) -> ClientPolicy,
    ca: &str,
    crls: Vec<PathBuf>,
) -> Acceptor {
    let pair = issue(&authority("servers"), &[NAME]).write(folder, "tls");
    let ca = place(folder, "clients.pem", ca);
    Acceptor::new(AcceptorParams {
        pairs: vec![pair],
        clients: policy(Authorities { ca, crls }),
        ..Default::default()
    })
    .unwrap()
}

async fn result(acceptor: &Acceptor, client: &Client) -> HandshakeResult {
    let mut results = Vec::new();
    for version in rustls::ALL_VERSIONS {
        let client = Client {
            versions: std::slice::from_ref(version),
            ..client.clone()
        };
        let (accepted, seen) = meet(acceptor, &client.config(), NAME).await;
        match accepted {
            Ok(accepted) => {
                seen.unwrap();
                results.push(accepted.result());
            }
            Err(refused) => {
                assert!(seen.is_err());
                results.push(refused.result);
            }
        }
    }
    assert_eq!(results[0], results[1]);
    results[0]
}

/// Clients, and what becomes of them where `ca` and `narrow` are trusted.
fn clients(ca: &Ca, narrow: &Ca) -> Vec<(Pair, HandshakeResult)> {
    use HandshakeResult as Is;
    let (other, forged) = (authority("others"), authority("clients"));
    let selfmade = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["ann".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    };
    let usage = |usage| {
        client(ca, &["ann"], |params| {
            params.extended_key_usages = vec![usage]
        })
    };
    vec![
        (client(ca, &["ann"], |_| {}), Is::Full),
        (usage(ExtendedKeyUsagePurpose::ClientAuth), Is::Full),
        (client(narrow, &["a.inside.example"], |_| {}), Is::Full),
        (usage(ExtendedKeyUsagePurpose::ServerAuth), Is::WrongUsage),
        (
            client(ca, &["ann"], |params| {
                params.not_after = date_time_ymd(2020, 1, 1)
            }),
            Is::Expired,
        ),
        (
            client(ca, &["ann"], |params| {
                params.not_before = date_time_ymd(4000, 1, 1)
            }),
            Is::NotYetValid,
        ),
        (
            client(narrow, &["a.outside.example"], |_| {}),
            Is::NameConstraint,
        ),
        (client(&other, &["ann"], |_| {}), Is::UnknownCa),
        (client(&forged, &["ann"], |_| {}), Is::BadCertificate),
        (selfmade, Is::UnknownCa),
    ]
}

#[tokio::test]
async fn only_valid_certificates_get_in_and_each_refusal_has_its_reason() {
    use HandshakeResult as Is;
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("clients");
    let narrow = authority_with("narrow", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("inside.example".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let cases = clients(&ca, &narrow);
    let authorities = ca.pem() + &narrow.pem();
    let required = acceptor(
        folder.path(),
        ClientPolicy::Required,
        &authorities,
        Vec::new(),
    );
    let optional = acceptor(
        folder.path(),
        ClientPolicy::Optional,
        &authorities,
        Vec::new(),
    );
    for (at, (pair, expected)) in cases.iter().enumerate() {
        let client = Client::with(pair);
        assert_eq!(result(&required, &client).await, *expected, "case {at}");
        assert_eq!(result(&optional, &client).await, *expected, "case {at}");
    }
    assert_eq!(
        result(&required, &Client::default()).await,
        Is::NoCertificate
    );
    assert_eq!(result(&optional, &Client::default()).await, Is::Full);
}

#[tokio::test]
async fn revoked_certificates_and_those_that_no_list_tells_of_are_refused() {
    use HandshakeResult as Is;
    let folder = tempfile::tempdir().unwrap();
    let [ca, unlisted, outdated] = ["listed", "unlisted", "outdated"].map(authority);
    let lists = revocation_list(&ca, &[7], 4000) + &revocation_list(&outdated, &[], 2021);
    let crl = place(folder.path(), "crl.pem", &lists);
    let authorities = ca.pem() + &unlisted.pem() + &outdated.pem();
    let acceptor = acceptor(
        folder.path(),
        ClientPolicy::Required,
        &authorities,
        vec![crl],
    );
    let with = |ca: &Ca, serial: u64| {
        Client::with(&client(ca, &["ann"], |params| {
            params.serial_number = Some(SerialNumber::from(serial));
        }))
    };
    assert_eq!(result(&acceptor, &with(&ca, 6)).await, Is::Full);
    assert_eq!(result(&acceptor, &with(&ca, 7)).await, Is::Revoked);
    assert_eq!(
        result(&acceptor, &with(&unlisted, 6)).await,
        Is::RevocationUnknown
    );
    assert_eq!(
        result(&acceptor, &with(&outdated, 6)).await,
        Is::RevocationUnknown
    );
}

#[tokio::test]
async fn a_ticket_does_not_outlive_the_revocation_lists() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("clients");
    let write = |revoked: &[u64]| {
        let list = revocation_list(&ca, revoked, 4000);
        place(folder.path(), "crl.pem", &list)
    };
    let crls = vec![write(&[])];
    let acceptor = acceptor(folder.path(), ClientPolicy::Required, &ca.pem(), crls);
    let pair = client(&ca, &["ann"], |params| {
        params.serial_number = Some(SerialNumber::from(7));
    });
    for version in rustls::ALL_VERSIONS {
        write(&[]);
        acceptor.reload().unwrap();
        let versions = std::slice::from_ref(version);
        let client = Client {
            versions,
            ..Client::with(&pair)
        };
        let client = client.config();
        for resumed in [false, true] {
            let (accepted, _) = meet(&acceptor, &client, NAME).await;
            assert_eq!(accepted.unwrap().secured.resumed, resumed);
        }
        write(&[7]);
        acceptor.reload().unwrap();
        let (accepted, _) = meet(&acceptor, &client, NAME).await;
        assert_eq!(accepted.unwrap_err().result, HandshakeResult::Revoked);
    }
}

#[tokio::test]
async fn it_is_known_until_when_what_was_verified_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("clients");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let until = |year: i32| {
        let end = date_time_ymd(year, 1, 1).unix_timestamp();
        u64::try_from(end).unwrap()
    };
    let (leaf, middle) = (2060, 2050);
    let pair = client(&ca, &["ann"], |params| {
        params.not_after = date_time_ymd(leaf, 1, 1)
    });
    let sent_along = client(&ca, &["bob"], |params| {
        params.not_after = date_time_ymd(middle, 1, 1)
    });
    for (chain, lists, expected) in [
        (vec![], vec![], leaf),
        (vec![sent_along.der()], vec![], middle),
        (vec![], vec![2055, 2070], 2055),
        (vec![sent_along.der()], vec![2055], middle),
        (vec![], vec![2070], leaf),
    ] {
        let lists = lists.into_iter().map(|year| {
            let list = revocation_list(&ca, &[], year);
            place(folder.path(), &format!("{year}.pem"), &list)
        });
        let policy = ClientPolicy::Required(Authorities {
            ca: place(folder.path(), "clients.pem", &ca.pem()),
            crls: lists.collect(),
        });
        let verifier = Clients::load(&policy, &provider).unwrap().verifier.unwrap();
        let verified = learned_in(async {
            let now = UnixTime::now();
            let verified = verifier.verify_client_cert(&pair.der(), &chain, now);
            verified.map(|_| learned())
        });
        assert_eq!(verified.await.unwrap(), until(expected));
    }
}

#[test]
fn authorities_and_lists_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("clients");
    let pair = issue(&ca, &[NAME]).write(path, "tls");
    let good = place(path, "ca.pem", &ca.pem());
    let broken = place(
        path,
        "broken.pem",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    let empty = place(path, "empty.pem", "");
    let cases = [
        (empty.clone(), vec![], InvalidPart::ClientCa, &empty),
        (broken.clone(), vec![], InvalidPart::ClientCa, &broken),
        (good.clone(), vec![empty.clone()], InvalidPart::Crl, &empty),
        (
            good.clone(),
            vec![broken.clone()],
            InvalidPart::Crl,
            &broken,
        ),
    ];
    for (ca, crls, part, file) in cases {
        let invalid = Acceptor::new(AcceptorParams {
            pairs: vec![pair.clone()],
            clients: ClientPolicy::Required(Authorities { ca, crls }),
            ..Default::default()
        });
        let invalid = invalid.unwrap_err();
        assert_eq!((invalid.part, &invalid.file), (part, file));
    }
    for host in ["", "*", "a b", "*.*.example.com", "a.*.example.com"] {
        let invalid = Acceptor::new(AcceptorParams {
            pairs: vec![pair.clone()],
            hosts: vec![(host.to_owned(), ClientPolicy::None)],
            ..Default::default()
        });
        assert_eq!(invalid.unwrap_err().part, InvalidPart::Host, "{host}");
    }
}

#[tokio::test]
async fn the_client_is_told_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let root = authority("root");
    let middle = {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Ca::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap()
    };
    let pair = client(&middle, &["ann.example"], |params| {
        let id = "spiffe://example/ann".try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(id));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "ann");
    });
    let acceptor = acceptor(
        folder.path(),
        ClientPolicy::Required,
        &root.pem(),
        Vec::new(),
    );
    let mut client = Client::with(&pair);
    if let Some((chain, _)) = &mut client.pair {
        chain.push(middle.der().clone());
    }
    let (accepted, _) = meet(&acceptor, &client.config(), NAME).await;
    let secured = accepted.unwrap().secured;
    let encoded = |der: &[u8]| format!(":{}:", data_encoding::BASE64.encode(der));
    assert_eq!(
        client_cert(&secured).unwrap(),
        encoded(&pair.der()).as_str()
    );
    assert_eq!(
        client_cert_chain(&secured).unwrap(),
        encoded(middle.der()).as_str()
    );
    let names = PeerNames::of(&secured).unwrap();
    assert!(names.subject.contains("CN=ann"), "{}", names.subject);
    assert_eq!(names.dns, ["ann.example"]);
    assert_eq!(names.uri, ["spiffe://example/ann"]);
}

#[tokio::test]
async fn each_host_has_its_rules_and_a_connection_keeps_to_those_it_was_made_under() {
    let folder = tempfile::tempdir().unwrap();
    let (ca_a, ca_b) = (authority("a"), authority("b"));
    let pair = issue(&authority("servers"), &["*.example.com"]).write(folder.path(), "tls");
    let rules = |name: &str, ca: &Ca| {
        let ca = place(folder.path(), name, &ca.pem());
        ClientPolicy::Required(Authorities { ca, crls: vec![] })
    };
    let (for_a, for_b) = (rules("a.pem", &ca_a), rules("b.pem", &ca_b));
    let acceptor = Acceptor::new(AcceptorParams {
        pairs: vec![pair],
        hosts: vec![
            ("a.example.com".to_owned(), for_a.clone()),
            ("A2.example.com".to_owned(), for_a),
            ("*.example.com".to_owned(), for_b),
        ],
        ..Default::default()
    })
    .unwrap();
    let of_a = Client::with(&client(&ca_a, &["ann"], |_| {})).config();
    let (accepted, _) = meet(&acceptor, &of_a, "a.example.com").await;
    let secured = accepted.unwrap().secured;
    for (host, permitted) in [
        ("a.example.com", true),
        ("A.Example.com.", true),
        ("a2.example.com", true),
        ("b.example.com", false),
        ("elsewhere.org", false),
    ] {
        assert_eq!(acceptor.permits(&secured, || host), permitted, "{host}");
    }
    let (accepted, _) = meet(&acceptor, &of_a, "b.example.com").await;
    assert_eq!(accepted.unwrap_err().result, HandshakeResult::UnknownCa);
    let (accepted, _) = meet(&acceptor, &Client::default().config(), "elsewhere.org").await;
    assert!(accepted.unwrap().secured.peer.is_empty());
}
