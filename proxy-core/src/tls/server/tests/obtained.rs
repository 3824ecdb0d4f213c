//! A certificate that is obtained while callers come: refused before, shown from then on, kept while its file is not.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::support::*;
use crate::telemetry::HandshakeResult;
use crate::tls::{Acceptor, AcceptorParams, ChallengeKind, Challenges, InvalidPart, Obtained};

fn params(folder: &Path, names: &[&str]) -> AcceptorParams {
    AcceptorParams {
        obtained: Some(Obtained {
            file: folder.join("web.pem"),
            names: names.iter().map(ToString::to_string).collect(),
            challenges: Some(folder.to_owned()),
        }),
        ..AcceptorParams::default()
    }
}

/// Both in one file, as whoever obtains them writes them.
fn write(folder: &Path, pair: &Pair) {
    let text = format!("Obtained from somewhere\n{}\n{}", pair.cert, pair.key);
    place(folder, "web.pem", &text);
}

#[tokio::test]
async fn it_is_awaited_shown_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("the authority");
    let names = ["shop.test", "cart.test"];
    let acceptor = Acceptor::new(params(folder.path(), &names)).unwrap();
    let awaited = async |name: &str| {
        let (refused, _) = meet(&acceptor, &Client::default().config(), name).await;
        refused.unwrap_err().result == HandshakeResult::Awaited
    };
    assert!(acceptor.certificates().is_empty());
    assert!(awaited("shop.test").await && awaited("other.test").await);
    // What cannot be used is as if it were not there.
    place(folder.path(), "web.pem", "half a fi");
    acceptor.reload().unwrap();
    assert!(awaited("shop.test").await);
    let pair = issue(&ca, &["shop.test"]);
    write(folder.path(), &pair);
    acceptor.reload().unwrap();
    let shown = async |name: &str| {
        let (_, seen) = meet(&acceptor, &Client::default().config(), name).await;
        seen.unwrap().shown == pair.der()
    };
    assert!(shown("shop.test").await);
    // It does not bear this one yet.
    assert!(awaited("cart.test").await);
    std::fs::remove_file(folder.path().join("web.pem")).unwrap();
    acceptor.reload().unwrap();
    assert!(shown("shop.test").await, "it was in use");
    assert_eq!(acceptor.certificates().len(), 1);
}

/// Reads no certificate: none that answers a challenge is one that a client may take.
#[derive(Debug)]
struct Blind;

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// What an authority is shown that offers these protocols, and what we count that as.
async fn ask(acceptor: &Acceptor, alpn: &[&str]) -> (Option<Vec<u8>>, HandshakeResult) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = ClientConfig::clone(&Client::default().config());
    client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    client.dangerous().set_certificate_verifier(Arc::new(Blind));
    let asked = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("shop.test").unwrap();
        let shaken = TlsConnector::from(Arc::new(client))
            .connect(name, tcp)
            .await;
        let shaken = shaken.ok()?;
        let session = shaken.get_ref().1;
        assert_eq!(session.alpn_protocol(), Some(&b"acme-tls/1"[..]));
        Some(session.peer_certificates().unwrap()[0].to_vec())
    };
    let answered = async {
        let (tcp, _) = listener.accept().await.unwrap();
        acceptor.accept(tcp, LIMIT).await.unwrap_err().result
    };
    tokio::join!(asked, answered)
}

#[tokio::test]
async fn an_authority_is_answered_while_it_may_ask() {
    let folder = tempfile::tempdir().unwrap();
    let acceptor = Acceptor::new(params(folder.path(), &["shop.test"])).unwrap();
    let alone: &[&str] = &["acme-tls/1"];
    let none = (None, HandshakeResult::NoSharedProtocol);
    assert_eq!(ask(&acceptor, alone).await, none);
    let challenges = Challenges::of(folder.path());
    challenges.clear().unwrap();
    let kind = ChallengeKind::TlsAlpn01;
    let published = challenges.publish(kind, "shop.test", "token.digest");
    let (shown, result) = ask(&acceptor, alone).await;
    assert_eq!(result, HandshakeResult::Challenge);
    // RFC 8737, 3: the digest stands in an extension that no program may pass over.
    let digest = digest(&SHA256, b"token.digest");
    let id_pe_acme_identifier = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f];
    let critical = [0x01, 0x01, 0xff];
    let octets = [&[0x04, 0x22, 0x04, 0x20], digest.as_ref()].concat();
    let extension = [&id_pe_acme_identifier[..], &critical, &octets].concat();
    let shown = shown.unwrap();
    assert!(memchr::memmem::find(&shown, &extension).is_some());
    assert!(memchr::memmem::find(&shown, b"shop.test").is_some());
    // Who offers something else besides is no authority.
    let beside = ask(&acceptor, &["acme-tls/1", "h2"]).await;
    assert_eq!(beside, (None, HandshakeResult::Awaited));
    drop(published);
    assert_eq!(ask(&acceptor, alone).await, none);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let invalid = Acceptor::new(params("/nowhere/at/all".as_ref(), &["a.test"])).unwrap_err();
    assert_eq!(invalid.part, InvalidPart::Acme);
    assert!(invalid.message.contains("/nowhere/at/all"), "{invalid}");
}
