//! A client's first message is read however it comes, and nothing of it is lost.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::*;
use crate::telemetry::HandshakeResult;
use crate::tls::{Acceptor, AcceptorParams, Hello, Refused};

const NAME: &str = "a.example.com";

fn first_message(client: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from(NAME).unwrap();
    let mut session = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut bytes = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn client() -> Arc<ClientConfig> {
    let alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Client {
        alpn,
        ..Default::default()
    }
    .config()
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
    let one = one.unwrap();
    one.set_nodelay(true).unwrap();
    (one, other.unwrap().0)
}

/// What is made of a client that sends these pieces and then closes.
async fn read(pieces: &[&[u8]]) -> Result<Hello, Refused> {
    let (mut client, tcp) = connected().await;
    let send = async {
        for piece in pieces {
            let _ = client.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        drop(client);
    };
    tokio::join!(Hello::read(tcp, LIMIT), send).0
}

fn check(hello: Hello, bytes: &[u8]) {
    assert_eq!(hello.server_name(), Some(NAME));
    assert_eq!(hello.alpn(), [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let (_, unread) = hello.into_unread();
    assert!(bytes.starts_with(&unread), "what was read is what was sent");
}

#[tokio::test]
async fn it_is_read_at_every_split_point_and_byte_by_byte() {
    let bytes = first_message(&client());
    for at in 0..=bytes.len() {
        let (one, other) = bytes.split_at(at);
        check(read(&[one, other]).await.unwrap(), &bytes);
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    check(read(&single).await.unwrap(), &bytes);
    for at in (0..bytes.len()).step_by(7) {
        let refused = read(&[&bytes[..at]]).await.unwrap_err();
        assert_eq!(refused.result, HandshakeResult::Closed);
    }
}

#[tokio::test]
async fn garbage_is_refused_and_an_endless_message_too() {
    let request = b"GET / HTTP/1.1\r\nhost: a.example.com\r\n\r\n";
    let refused = read(&[request]).await.unwrap_err();
    assert_eq!(refused.result, HandshakeResult::Protocol);
    // Records of a handshake message that claims to be as long as can be.
    let mut endless = Vec::new();
    for turn in 0..64 {
        endless.extend_from_slice(&[22, 3, 1, 4, 0]);
        let mut body = vec![0; 1024];
        if turn == 0 {
            body[..4].copy_from_slice(&[1, 0, 255, 250]);
        }
        endless.extend_from_slice(&body);
    }
    let refused = read(&[&endless]).await.unwrap_err();
    assert_eq!(refused.result, HandshakeResult::Protocol);
    let bytes = first_message(&client());
    for seed in 0..500 {
        let mut changed = bytes.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..changed.len());
            changed[at] = random.u8(..);
        }
        // Whatever it is taken for, it ends.
        let _ = read(&[&changed]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_not_waited_for() {
    let (client, tcp) = connected().await;
    let refused = Hello::read(tcp, LIMIT).await.unwrap_err();
    assert_eq!(refused.result, HandshakeResult::Timeout);
    drop(client);
}

#[tokio::test]
async fn after_it_was_read_a_connection_can_be_accepted_or_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let pair = issue(&authority("ca"), &[NAME]);
    let acceptor = Acceptor::new(AcceptorParams {
        pairs: vec![pair.write(folder.path(), "tls")],
        ..Default::default()
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = client();
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let hello = Hello::read(tcp, LIMIT).await.unwrap();
        let mut accepted = acceptor.accept_hello(hello, LIMIT).await.unwrap();
        accepted.stream.write_all(b"welcome").await.unwrap();
        accepted.stream.shutdown().await.unwrap();
        accepted.secured
    };
    let (secured, seen) = tokio::join!(serve, visit(address, &client, NAME));
    assert_eq!(seen.unwrap().shown, pair.der());
    assert_eq!(secured.server_name.as_deref(), Some(NAME));
    assert!(secured.is_http2());

    let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = inner.local_addr().unwrap();
    let pass = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let hello = Hello::read(tcp, LIMIT).await.unwrap();
        let (mut tcp, read) = hello.into_unread();
        let mut on = TcpStream::connect(to).await.unwrap();
        on.write_all(&read).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut tcp, &mut on).await;
    };
    let terminate = async {
        let (tcp, _) = inner.accept().await.unwrap();
        let mut accepted = acceptor.accept(tcp, LIMIT).await.unwrap();
        accepted.stream.write_all(b"welcome").await.unwrap();
        accepted.stream.shutdown().await.unwrap();
        let _ = accepted.stream.read_to_end(&mut Vec::new()).await;
    };
    let (_, _, seen) = tokio::join!(pass, terminate, visit(address, &client, NAME));
    assert_eq!(seen.unwrap().shown, pair.der());
}
