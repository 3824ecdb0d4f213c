//! Whatever comes to a port of TLS that is no whole handshake is answered or closed, counted, and in nobody's way; and
//! a handshake on a port without TLS is no request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use remora_tests::certificates::Authority;
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{expect, promise};
use remora_tests::proxy::Proxy;
use remora_tests::tls::{Caller, GET, Met, NAME, connect, issued, meet, settings};
use remora_tests::wire::{Ending, Wire};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

const HANDSHAKES: &str = "remora_tls_handshakes_total";

const WELL: Met = Met::Answered {
    status: 200,
    resumed: false,
};

async fn serving() -> (Authority, tempfile::TempDir, Origin, Proxy) {
    let (authority, folder) = issued();
    let origin = Origin::start(|_| async { ok("fine") });
    let url = format!("http://{}", origin.address());
    let sidecar = Proxy::start(&settings(&url, folder.path(), "")).await;
    (authority, folder, origin, sidecar)
}

fn hello(authority: &Authority) -> Vec<u8> {
    let name = ServerName::try_from(NAME).expect("a name");
    let config = Caller::trusting(authority).config();
    let mut session = ClientConnection::new(config, name).expect("a session");
    let mut bytes = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut bytes).expect("a message");
    }
    bytes
}

async fn counted(sidecar: &Proxy, result: &str, times: f64) {
    let labels = [("entry", "web"), ("result", result)];
    let is_all = |value| value == times;
    sidecar.metric(HANDSHAKES, &labels, is_all).await;
}

#[test]
fn a_request_without_tls_is_told_to_use_it() {
    promise(async {
        let (authority, _folder, origin, sidecar) = serving().await;
        let large = format!("POST / HTTP/1.1\r\nHost: a\r\n\r\n{}", "x".repeat(100_000));
        let requests = [
            GET,
            "GET / HTTP/1.0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &large,
        ];
        for request in requests {
            let mut wire = Wire::connect(sidecar.address()).await;
            wire.send(request).await.expect("sent");
            let head = wire.head().await.expect("an answer");
            assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
            assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
            wire.finish().await.expect("open");
            let (text, ending) = wire.rest().await;
            let text = String::from_utf8_lossy(&text);
            assert!(text.contains("use https"), "{text}");
            assert_eq!(ending, Ending::Closed, "the answer was not cut off");
        }
        counted(&sidecar, "protocol", requests.len() as f64).await;
        assert_eq!(origin.count(), 0);
        let config = Caller::trusting(&authority).config();
        assert_eq!(meet(sidecar.address(), &config).await, WELL);
    });
}

#[test]
fn a_first_message_that_ends_too_early_is_counted_and_that_is_all() {
    promise(async {
        let (authority, _folder, origin, sidecar) = serving().await;
        let bytes = hello(&authority);
        let lengths = [0, 1, 4, 5, 6, 9, 43, bytes.len() / 2, bytes.len() - 1];
        for length in lengths {
            let mut wire = Wire::connect(sidecar.address()).await;
            wire.send(&bytes[..length]).await.expect("sent");
            wire.finish().await.expect("open");
            let (answer, _) = wire.rest().await;
            assert!(answer.is_empty(), "{length}: {answer:?}");
        }
        counted(&sidecar, "closed", lengths.len() as f64).await;
        assert_eq!(origin.count(), 0);
    });
}

/// Sends byte by byte, each in a segment of its own.
struct Dribble(TcpStream);

impl AsyncRead for Dribble {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Dribble {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let first = &bytes[..bytes.len().min(1)];
        Pin::new(&mut self.0).poll_write(cx, first)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[test]
fn a_caller_may_take_a_segment_for_each_byte() {
    promise(async {
        let (authority, _folder, _origin, sidecar) = serving().await;
        for caller in Caller::trusting(&authority).each_version() {
            let tcp = TcpStream::connect(sidecar.address()).await.expect("a port");
            tcp.set_nodelay(true).expect("a socket");
            let connector = tokio_rustls::TlsConnector::from(caller.config());
            let name = ServerName::try_from(NAME).expect("a name");
            let shaken = connector.connect(name, Dribble(tcp));
            let mut stream = expect("a handshake", shaken).await.expect("TLS");
            stream.write_all(GET.as_bytes()).await.expect("sent");
            stream.flush().await.expect("sent");
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer);
            expect("an answer", read).await.expect("a clean end");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    });
}

#[test]
fn damaged_first_messages_end_their_own_connection_alone() {
    promise(async {
        let (authority, _folder, origin, sidecar) = serving().await;
        let bytes = hello(&authority);
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut damaged = bytes.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            damaged.truncate(random.usize(1..=damaged.len()));
            let mut wire = Wire::connect(sidecar.address()).await;
            // It may be closed before all is sent.
            let _ = wire.send(&damaged).await;
            let _ = wire.finish().await;
            wire.rest().await;
        }
        assert_eq!(origin.count(), 0);
        let config = Caller::trusting(&authority).config();
        assert_eq!(meet(sidecar.address(), &config).await, WELL);
    });
}

#[test]
fn who_takes_too_long_is_closed_and_delays_nobody() {
    promise(async {
        let (authority, _folder, origin, sidecar) = serving().await;
        let bytes = hello(&authority);
        // Silent, in the middle of the first message, and after it.
        let mut slow = Vec::new();
        for length in [0, bytes.len() / 2, bytes.len()] {
            let mut wire = Wire::connect(sidecar.address()).await;
            wire.send(&bytes[..length]).await.expect("sent");
            slow.push(wire);
        }
        let config = Caller::trusting(&authority).config();
        assert_eq!(meet(sidecar.address(), &config).await, WELL);
        for mut wire in slow {
            assert_eq!(wire.rest().await.1, Ending::Closed);
        }
        counted(&sidecar, "timeout", 3.0).await;
        assert_eq!(origin.count(), 1);
    });
}

#[test]
fn a_head_that_is_never_whole_is_told_so_inside() {
    promise(async {
        let (authority, _folder, origin, sidecar) = serving().await;
        let config = Caller::trusting(&authority).config();
        let mut stream = connect(sidecar.address(), &config).await.expect("TLS");
        let begun = b"GET / HTTP/1.1\r\nHost: a\r\n";
        stream.write_all(begun).await.expect("sent");
        let mut answer = Vec::new();
        let ended = expect("the end", stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{ended:?}");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn a_handshake_without_tls_on_the_other_side_is_no_request() {
    promise(async {
        let authority = Authority::new("the test's");
        let origin = Origin::start(|_| async { ok("fine") });
        let plain = format!("to: http://{}", origin.address());
        let sidecar = Proxy::start(&Config::of_sidecar(&plain)).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send(hello(&authority)).await.expect("sent");
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert_eq!(wire.rest().await.1, Ending::Closed);
        // A caller of TLS takes that for what it is.
        let config = Caller::trusting(&authority).config();
        let met = meet(sidecar.address(), &config).await;
        assert!(matches!(met, Met::Failed(_)), "{met:?}");
        assert_eq!(origin.count(), 0);
        let (errors, of_web) = ("remora_downstream_errors_total", [("entry", "web")]);
        sidecar.metric(errors, &of_web, |value| value == 2.0).await;
    });
}

#[test]
fn a_port_of_tls_for_tcp_holds_to_the_same() {
    promise(async {
        let (authority, folder) = issued();
        let workload = Origin::start(|_| async { ok("fine") });
        let url = format!("tcp://{}", workload.address());
        let sidecar = Proxy::start(&settings(&url, folder.path(), "")).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send(GET).await.expect("sent");
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        let silent = Wire::connect(sidecar.address()).await;
        let config = Arc::clone(&Caller::trusting(&authority).config());
        assert_eq!(meet(sidecar.address(), &config).await, WELL);
        counted(&sidecar, "timeout", 1.0).await;
        drop(silent);
        assert_eq!(workload.count(), 1);
    });
}
