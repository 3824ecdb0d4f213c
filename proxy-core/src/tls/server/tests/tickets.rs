//! Sessions are resumed by tickets, across acceptors that share keys, and never under other rules for clients.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;

use super::support::*;
use crate::telemetry::HandshakeResult;
use crate::tls::{Acceptor, AcceptorParams, Authorities, ClientPolicy, InvalidPart, Tickets};

const NAME: &str = "a.example.com";

fn params(folder: &std::path::Path, tickets: Tickets) -> AcceptorParams {
    let pair = issue(&authority("ca"), &["*.example.com"]).write(folder, "tls");
    AcceptorParams {
        pairs: vec![pair],
        tickets,
        ..Default::default()
    }
}

async fn resumed(acceptor: &Acceptor, client: &Arc<ClientConfig>, name: &str) -> bool {
    let (accepted, seen) = meet(acceptor, client, name).await;
    let accepted = accepted.unwrap();
    let seen = seen.unwrap();
    assert_eq!(accepted.secured.resumed, seen.resumed);
    assert_eq!(accepted.result() == HandshakeResult::Resumed, seen.resumed);
    seen.resumed
}

fn each_version() -> impl Iterator<Item = Client> {
    rustls::ALL_VERSIONS.iter().map(|version| Client {
        versions: std::slice::from_ref(version),
        ..Default::default()
    })
}

fn key(first: u8) -> String {
    let bytes: Vec<u8> = (first..first + 32).collect();
    data_encoding::HEXLOWER.encode(&bytes)
}

#[tokio::test]
async fn a_session_is_resumed_by_its_ticket_across_reloads() {
    let folder = tempfile::tempdir().unwrap();
    let acceptor = Acceptor::new(params(folder.path(), Tickets::default())).unwrap();
    for client in each_version() {
        let client = client.config();
        assert!(!resumed(&acceptor, &client, NAME).await);
        assert!(resumed(&acceptor, &client, NAME).await);
        acceptor.reload().unwrap();
        assert!(resumed(&acceptor, &client, NAME).await);
        assert!(!resumed(&acceptor, &client, "b.example.com").await);
    }
    let off = Acceptor::new(params(folder.path(), Tickets::Off)).unwrap();
    for client in each_version() {
        let client = client.config();
        assert!(!resumed(&off, &client, NAME).await);
        assert!(!resumed(&off, &client, NAME).await);
    }
}

#[tokio::test]
async fn replicas_share_the_keys_of_a_file_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let shared = Tickets::Shared(place(path, "keys", &key(1)));
    let one = Acceptor::new(params(path, shared.clone())).unwrap();
    let two = Acceptor::new(params(path, shared)).unwrap();
    let stranger = Tickets::Shared(place(path, "other", &key(2)));
    let stranger = Acceptor::new(params(path, stranger)).unwrap();
    let alone = Tickets::Rotated(Duration::from_secs(3600));
    let alone = Acceptor::new(params(path, alone)).unwrap();
    for client in each_version() {
        let client = client.config();
        assert!(!resumed(&one, &client, NAME).await);
        assert!(resumed(&two, &client, NAME).await);
        assert!(!resumed(&stranger, &client, NAME).await);
        assert!(!resumed(&alone, &client, NAME).await);
        assert!(!resumed(&one, &client, NAME).await);
    }
    // The file turns: first the new key is known everywhere, then it is used, then the old one goes.
    let client = Client::default().config();
    assert!(!resumed(&one, &client, NAME).await);
    for text in [[key(1), key(3)], [key(3), key(1)], [key(3), key(4)]] {
        place(path, "keys", &text.join("\n"));
        one.reload().unwrap();
        assert!(resumed(&one, &client, NAME).await);
        two.reload().unwrap();
        assert!(resumed(&two, &client, NAME).await);
    }
    place(path, "keys", "no key");
    let invalid = one.reload().unwrap_err();
    assert_eq!(
        (invalid.part, invalid.file),
        (InvalidPart::Tickets, path.join("keys"))
    );
    assert!(resumed(&one, &client, NAME).await);
}

#[tokio::test]
async fn a_ticket_never_opens_a_host_with_other_rules_for_clients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (ca_a, ca_b) = (authority("a"), authority("b"));
    let of = |ca: &str| Authorities {
        ca: path.join(ca),
        crls: vec![],
    };
    place(path, "a.pem", &ca_a.pem());
    place(path, "b.pem", &ca_b.pem());
    let policies = [
        ClientPolicy::Required(of("a.pem")),
        ClientPolicy::Required(of("b.pem")),
        ClientPolicy::Optional(of("a.pem")),
        ClientPolicy::None,
    ];
    // The same name under each of the rules, in replicas that share keys: nothing else keeps them apart.
    let shared = Tickets::Shared(place(path, "keys", &key(1)));
    let acceptors = policies.map(|clients| {
        let params = AcceptorParams {
            clients,
            ..params(path, shared.clone())
        };
        Acceptor::new(params).unwrap()
    });
    let pair = issue(&ca_a, &["ann"]);
    for (from, first) in acceptors.iter().enumerate() {
        for (to, second) in acceptors.iter().enumerate() {
            for client in each_version() {
                let pair = Client::with(&pair).pair;
                let client = Client { pair, ..client }.config();
                let (accepted, _) = meet(first, &client, NAME).await;
                assert_eq!(accepted.is_ok(), from != 1);
                let (accepted, _) = meet(second, &client, NAME).await;
                match accepted {
                    Ok(accepted) => assert_eq!(accepted.secured.resumed, from == to),
                    Err(refused) => {
                        assert_eq!(to, 1);
                        assert_eq!(refused.result, HandshakeResult::UnknownCa);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_opens_no_other_host_here_or_at_a_replica() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (ca_a, ca_b) = (authority("a"), authority("b"));
    let rules = |name: &str, ca: &Ca| {
        let ca = place(path, name, &ca.pem());
        ClientPolicy::Required(Authorities { ca, crls: vec![] })
    };
    let host = |name: &str, policy| (format!("{name}.example.com"), policy);
    let params = AcceptorParams {
        hosts: vec![
            host("a", rules("a.pem", &ca_a)),
            host("b", rules("b.pem", &ca_b)),
        ],
        ..params(path, Tickets::Shared(place(path, "keys", &key(1))))
    };
    let replicas = [(); 2].map(|()| Acceptor::new(params.clone()).unwrap());
    let pair = issue(&ca_a, &["ann"]);
    for client in each_version() {
        let pair = Client::with(&pair).pair;
        let mut client = ClientConfig::clone(&Client { pair, ..client }.config());
        client.resumption = Resumption::store(AnyHost::new());
        let client = Arc::new(client);
        for replica in &replicas {
            // Of whatever host it has a ticket last: it goes on with `a` or begins anew.
            meet(&replicas[0], &client, "a.example.com")
                .await
                .0
                .unwrap();
            assert!(resumed(replica, &client, "a.example.com").await);
            let (accepted, _) = meet(replica, &client, "b.example.com").await;
            assert_eq!(accepted.unwrap_err().result, HandshakeResult::UnknownCa);
            meet(&replicas[0], &client, "a.example.com")
                .await
                .0
                .unwrap();
            let (accepted, _) = meet(replica, &client, "c.example.com").await;
            let secured = accepted.unwrap().secured;
            assert!(!secured.resumed && secured.peer.is_empty());
            let (accepted, _) = meet(replica, &client, "b.example.com").await;
            assert_eq!(accepted.unwrap_err().result, HandshakeResult::UnknownCa);
        }
    }
}

#[tokio::test]
async fn a_resumed_session_is_that_of_the_same_client_while_its_certificate_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("clients");
    let authorities = Authorities {
        ca: place(path, "ca.pem", &ca.pem()),
        crls: vec![],
    };
    let acceptor = Acceptor::new(AcceptorParams {
        clients: ClientPolicy::Required(authorities),
        ..params(path, Tickets::default())
    })
    .unwrap();
    for client in each_version() {
        let brief = issue_with(&ca, &["ann"], &rcgen::PKCS_ECDSA_P256_SHA256, |params| {
            let now = std::time::SystemTime::now();
            params.not_after = (now + Duration::from_secs(2)).into();
        });
        let pair = Client::with(&brief).pair;
        let client = Client { pair, ..client }.config();
        let (accepted, _) = meet(&acceptor, &client, NAME).await;
        let Ok(accepted) = accepted else {
            // This machine is slow: the certificate is over already.
            continue;
        };
        assert_eq!(accepted.secured.peer, [brief.der()]);
        // Until it is over each connection is one of the same client, and after that there is none.
        loop {
            let (accepted, _) = meet(&acceptor, &client, NAME).await;
            match accepted {
                Ok(accepted) => assert_eq!(accepted.secured.peer, [brief.der()]),
                Err(refused) => {
                    assert_eq!(refused.result, HandshakeResult::Expired);
                    break;
                }
            }
        }
    }
}
