//! Which certificate a client gets.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd};
use rustls::SignatureScheme;

use super::support::*;
use crate::telemetry::HandshakeResult;
use crate::tls::{Acceptor, AcceptorParams, InvalidPart, MinimumVersion};

fn acceptor(params: AcceptorParams) -> Acceptor {
    Acceptor::new(params).unwrap()
}

#[tokio::test]
async fn exact_names_go_before_wildcards_and_the_first_pair_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("ca");
    let first = issue(&ca, &["first.example.org"]);
    let exact = issue(&ca, &["a.example.com", "Both.Example.Com"]);
    let wild = issue(&ca, &["*.example.com"]);
    let pairs = [("0", &first), ("1", &wild), ("2", &exact)];
    let pairs = pairs
        .map(|(name, pair)| pair.write(folder.path(), name))
        .to_vec();
    let lax = acceptor(AcceptorParams {
        pairs: pairs.clone(),
        ..Default::default()
    });
    let strict = acceptor(AcceptorParams {
        pairs,
        strict: true,
        ..Default::default()
    });
    let cases = [
        ("a.example.com", &exact, true),
        ("A.EXAMPLE.com", &exact, true),
        ("both.example.com", &exact, true),
        ("b.example.com", &wild, true),
        ("first.example.org", &first, true),
        ("example.com", &first, false),
        ("a.b.example.com", &first, false),
        ("other.example.org", &first, false),
        ("127.0.0.1", &first, false),
    ];
    let client = Client::default().config();
    for (name, expected, known) in cases {
        let (accepted, seen) = meet(&lax, &client, name).await;
        accepted.unwrap();
        assert_eq!(seen.unwrap().shown, expected.der(), "{name}");
        let (accepted, seen) = meet(&strict, &client, name).await;
        assert_eq!(accepted.is_ok(), known, "{name}");
        match accepted {
            Ok(_) => assert_eq!(seen.unwrap().shown, expected.der(), "{name}"),
            Err(refused) => {
                assert_eq!(refused.result, HandshakeResult::UnknownName);
                let told = seen.map(|_| ()).unwrap_err().to_string();
                assert!(told.contains("UnrecognisedName"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_gets_ecdsa_before_ed25519_before_rsa_of_what_it_can_verify() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("ca");
    let names = ["a.example.com"];
    let rsa = issue_with(&ca, &names, &PKCS_RSA_SHA256, |_| {});
    let ed25519 = issue_with(&ca, &names, &PKCS_ED25519, |_| {});
    let ecdsa = issue_with(&ca, &names, &PKCS_ECDSA_P256_SHA256, |_| {});
    let pairs = [("0", &rsa), ("1", &ed25519), ("2", &ecdsa)];
    let acceptor = acceptor(AcceptorParams {
        pairs: pairs
            .map(|(name, pair)| pair.write(folder.path(), name))
            .to_vec(),
        ..Default::default()
    });
    let (of_rsa, of_ed, of_ec) = (
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::ED25519,
        SignatureScheme::ECDSA_NISTP256_SHA256,
    );
    let cases = [
        (vec![of_rsa, of_ed, of_ec], Some(&ecdsa)),
        (vec![of_rsa, of_ed], Some(&ed25519)),
        (vec![of_rsa], Some(&rsa)),
        (vec![SignatureScheme::ECDSA_NISTP384_SHA384], None),
    ];
    for (schemes, expected) in cases {
        for version in rustls::ALL_VERSIONS {
            let client = Client {
                schemes: schemes.clone(),
                versions: std::slice::from_ref(version),
                ..Default::default()
            };
            // The same for a name that only the default serves.
            for name in ["a.example.com", "unknown.example.com"] {
                let (accepted, seen) = meet(&acceptor, &client.config(), name).await;
                match expected {
                    Some(pair) => assert_eq!(seen.unwrap().shown, pair.der(), "{schemes:?}"),
                    None => {
                        assert_eq!(
                            accepted.unwrap_err().result,
                            HandshakeResult::NoSharedCipher
                        );
                        let told = seen.map(|_| ()).unwrap_err().to_string();
                        assert!(told.contains("HandshakeFailure"), "{told}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_wildcard_serves_who_cannot_verify_the_exact_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("ca");
    let exact = issue_with(&ca, &["a.example.com"], &PKCS_RSA_SHA256, |_| {});
    let wild = issue(&ca, &["*.example.com"]);
    let acceptor = acceptor(AcceptorParams {
        pairs: vec![
            exact.write(folder.path(), "0"),
            wild.write(folder.path(), "1"),
        ],
        ..Default::default()
    });
    for (schemes, pair) in [
        (SignatureScheme::RSA_PSS_SHA256, &exact),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &wild),
    ] {
        let client = Client {
            schemes: vec![schemes],
            ..Default::default()
        };
        let (_, seen) = meet(&acceptor, &client.config(), "a.example.com").await;
        assert_eq!(seen.unwrap().shown, pair.der());
    }
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_one_that_is_valid_longest_wins() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("ca");
    let until = |from: i32, to: i32| {
        issue_with(&ca, &["a.example.com"], &PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        })
    };
    let (short, long, future) = (until(2000, 3000), until(2000, 3500), until(3900, 4000));
    let client = Client::default().config();
    for order in [
        [&short, &long, &future],
        [&future, &long, &short],
        [&long, &future, &short],
    ] {
        let write = |(name, pair): (&str, &Pair)| pair.write(folder.path(), name);
        let pairs = ["0", "1", "2"].into_iter().zip(order).map(write).collect();
        let acceptor = acceptor(AcceptorParams {
            pairs,
            ..Default::default()
        });
        for name in ["a.example.com", "unknown.example.com"] {
            let (_, seen) = meet(&acceptor, &client, name).await;
            assert_eq!(seen.unwrap().shown, long.der());
        }
        assert_eq!(acceptor.certificates().len(), 3);
    }
}

#[tokio::test]
async fn folders_hold_pairs_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("ca");
    let [crt, pem, both] =
        ["crt", "pem", "both"].map(|name| issue(&ca, &[&format!("{name}.example.com")]));
    crt.write(path, "tls");
    place(path, "pem.pem", &pem.cert);
    place(path, "pem.key", &pem.key);
    place(path, "both.pem", &format!("{}{}", both.cert, both.key));
    // None of these is a pair.
    place(path, "ca.crt", &ca.pem());
    place(path, "bundle.pem", &ca.pem());
    place(path, "lonely.key", &crt.key);
    place(path, "README", "hello");
    place(path, ".hidden.crt", "hidden");
    place(path, ".hidden.key", "hidden");
    let acceptor = acceptor(AcceptorParams {
        folders: vec![path.to_owned()],
        ..Default::default()
    });
    let client = Client::default().config();
    for (name, pair) in [("crt", &crt), ("pem", &pem), ("both", &both)] {
        let (_, seen) = meet(&acceptor, &client, &format!("{name}.example.com")).await;
        assert_eq!(seen.unwrap().shown, pair.der());
    }
    let files: Vec<_> = acceptor
        .certificates()
        .iter()
        .map(|one| one.file.clone())
        .collect();
    assert_eq!(
        files,
        [
            path.join("both.pem"),
            path.join("pem.pem"),
            path.join("tls.crt")
        ]
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("ca");
    let (one, other) = (
        issue(&ca, &["a.example.com"]),
        issue(&ca, &["a.example.com"]),
    );
    let (cert, key) = one.write(path, "one");
    let (_, foreign) = other.write(path, "other");
    let nothing = path.join("nothing");
    let empty = path.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let refused = |pairs: Vec<_>, folders: Vec<_>| {
        let params = AcceptorParams {
            pairs,
            folders,
            ..Default::default()
        };
        let invalid = Acceptor::new(params).unwrap_err();
        (invalid.part, invalid.file)
    };
    let cases = [
        (
            refused(vec![(cert.clone(), foreign.clone())], vec![]),
            (InvalidPart::Key, &foreign),
        ),
        (
            refused(vec![(nothing.clone(), key.clone())], vec![]),
            (InvalidPart::Certificate, &nothing),
        ),
        (
            refused(vec![(cert.clone(), nothing.clone())], vec![]),
            (InvalidPart::Key, &nothing),
        ),
        (
            refused(vec![(key.clone(), key.clone())], vec![]),
            (InvalidPart::Certificate, &key),
        ),
        (
            refused(vec![(cert.clone(), cert.clone())], vec![]),
            (InvalidPart::Key, &cert),
        ),
        (
            refused(vec![], vec![empty.clone()]),
            (InvalidPart::Folder, &empty),
        ),
        (
            refused(vec![], vec![nothing.clone()]),
            (InvalidPart::Folder, &nothing),
        ),
    ];
    for ((part, file), expected) in cases {
        assert_eq!((part, &file), expected);
    }
}

#[tokio::test]
async fn versions_and_protocols_are_those_of_the_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let pair = issue(&authority("ca"), &["a.example.com"]).write(folder.path(), "tls");
    let acceptor = acceptor(AcceptorParams {
        pairs: vec![pair],
        minimum: MinimumVersion::Tls13,
        ..Default::default()
    });
    let client = |alpn: &[&[u8]], versions| Client {
        alpn: alpn.iter().map(|name| name.to_vec()).collect(),
        versions,
        ..Default::default()
    };
    static OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let (accepted, _) = meet(&acceptor, &client(&[], OLD).config(), "a.example.com").await;
    assert_eq!(accepted.unwrap_err().result, HandshakeResult::Version);
    let all = rustls::ALL_VERSIONS;
    let none: &[&[u8]] = &[];
    let cases = [
        (none, Ok(None)),
        (&[b"http/1.1", b"h2"], Ok(Some(&b"h2"[..]))),
        (&[b"http/1.1"], Ok(Some(b"http/1.1"))),
        (&[b"ftp"], Err(HandshakeResult::NoSharedProtocol)),
    ];
    for (offered, expected) in cases {
        let (accepted, _) = meet(&acceptor, &client(offered, all).config(), "a.example.com").await;
        let settled = accepted.map(|accepted| accepted.secured.alpn.clone());
        let settled = settled.map_err(|refused| refused.result);
        assert_eq!(settled, expected.map(|alpn| alpn.map(<[u8]>::to_vec)));
    }
}

#[tokio::test]
async fn ciphers_are_chosen_here_but_for_clients_without_aes() {
    use rustls::CipherSuite as Is;
    let folder = tempfile::tempdir().unwrap();
    let pair = issue(&authority("ca"), &["a.example.com"]).write(folder.path(), "tls");
    let acceptor = acceptor(AcceptorParams {
        pairs: vec![pair],
        ..Default::default()
    });
    let [aes_256, aes_128, chacha] = [
        [
            Is::TLS13_AES_256_GCM_SHA384,
            Is::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ],
        [
            Is::TLS13_AES_128_GCM_SHA256,
            Is::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        [
            Is::TLS13_CHACHA20_POLY1305_SHA256,
            Is::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
    ];
    for (preferred, chosen) in [
        (vec![aes_256, aes_128, chacha], aes_256),
        (vec![aes_128, aes_256, chacha], aes_256),
        (vec![aes_128, chacha, aes_256], aes_256),
        (vec![aes_128, chacha], aes_128),
        (vec![chacha, aes_128, aes_256], chacha),
        (vec![chacha], chacha),
    ] {
        let mut ciphers = Vec::new();
        for version in rustls::ALL_VERSIONS {
            let client = Client {
                versions: std::slice::from_ref(version),
                ..Default::default()
            };
            let offering = client.offering(&preferred.concat());
            let (accepted, _) = meet(&acceptor, &offering, "a.example.com").await;
            let cipher = accepted.unwrap().secured.cipher;
            ciphers.push(cipher.unwrap().suite());
        }
        assert_eq!(ciphers, chosen, "{preferred:?}");
    }
}
