//! What an upstream says before its response, such as 103 Early Hints, reaches an HTTP/1.1 client at once; a 100 is
//! between us and the upstream, and clients that know no interim responses get none.

use std::sync::Arc;

use remora_tests::ambassador::Ambassador;
use remora_tests::certificates::{Authority, Validity};
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::config::Config;
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::scripted::{Scripted, ephemeral, listen};
use remora_tests::wire::Wire;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\
    Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n";
const PROCESSING: &str = "HTTP/1.1 102 Processing\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the client must get of [`HINTS`].
const TOLD: &str =
    "http/1.1 103 early hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n";

/// An upstream that answers each request with these pieces; it goes on from one to the next when it is told to.
fn piecewise(pieces: &'static [&'static str]) -> (Scripted, Arc<Semaphore>) {
    let go = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&go);
    let origin = Scripted::start(move |mut wire, _| {
        let told = Arc::clone(&told);
        async move {
            while wire.head().await.is_ok() {
                for (number, piece) in pieces.iter().enumerate() {
                    if number > 0 {
                        told.acquire().await.expect("it is not closed").forget();
                    }
                    if wire.send(piece).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    (origin, go)
}

async fn serving(origin: &Scripted) -> Ambassador {
    Ambassador::serving(&format!("to: http://{}\nretry: off", origin.address())).await
}

#[test]
fn each_arrives_before_what_follows_is_sent() {
    promise(async {
        let (origin, go) = piecewise(&[HINTS, PROCESSING, CONTINUE, FINAL]);
        let ambassador = serving(&origin).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        for _ in 0..3 {
            wire.send(REQUEST).await.expect("sent");
            let hints = wire.head().await.expect("hints");
            assert_eq!(hints.to_lowercase(), TOLD);
            go.add_permits(1);
            assert_eq!(wire.head().await.expect("more"), PROCESSING);
            // The 100 that nobody waits for goes no further.
            go.add_permits(2);
            let head = wire.head().await.expect("a response");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            assert_eq!(wire.exactly(2).await.expect("a body"), b"ok");
        }
    });
}

#[test]
fn what_comes_at_once_keeps_its_order() {
    promise(async {
        let origin = Scripted::answering([HINTS, CONTINUE, PROCESSING, FINAL].concat());
        let ambassador = serving(&origin).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send(REQUEST).await.expect("sent");
        assert_eq!(wire.head().await.expect("hints").to_lowercase(), TOLD);
        assert_eq!(wire.head().await.expect("more"), PROCESSING);
        let head = wire.head().await.expect("a response");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    });
}

#[test]
fn clients_that_cannot_be_told_get_the_response_alone() {
    promise(async {
        let origin = Scripted::answering([HINTS, FINAL].concat());
        let ambassador = serving(&origin).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let (answer, _) = wire.rest().await;
        let answer = String::from_utf8(answer).expect("text");
        assert!(
            answer.starts_with("HTTP/1.0 200") && answer.ends_with("ok"),
            "{answer}"
        );
        let opened = Connection::open(ambassador.address(), Protocol::Http2).await;
        let reply = opened
            .expect("open")
            .fetch(get("/"))
            .await
            .expect("an answer");
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "ok"));
    });
}

/// Answers each request of a connection of HTTP/2 with 103 and 200.
async fn hinting(tcp: TcpStream) {
    let mut connection = h2::server::handshake(tcp).await.expect("HTTP/2");
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let of = |status: u16| {
            let response = http::Response::builder().status(status);
            let response = response.header("link", "</a.css>; rel=preload");
            response.body(()).expect("a response")
        };
        respond.send_informational(of(103)).expect("sent");
        respond.send_response(of(200), true).expect("sent");
    }
}

/// They are left out between HTTP/2 and HTTP/1.1, and do no harm.
#[test]
fn an_upstream_of_http2_may_send_them() {
    promise(async {
        let listener = listen(ephemeral());
        let address = listener.local_addr().expect("a bound socket");
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(hinting(tcp));
            }
        });
        let ambassador = Ambassador::serving(&format!("to: h2c://{address}\nretry: off")).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let opened = Connection::open(ambassador.address(), protocol).await;
            let reply = opened.expect("open").fetch(get("/")).await;
            assert_eq!(reply.expect("an answer").status, 200);
        }
    });
}

#[test]
fn who_waits_for_a_100_gets_hints_and_then_that() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            wire.head().await.expect("a head");
            wire.send([HINTS, CONTINUE].concat()).await.expect("sent");
            let body = wire.exactly(5).await.expect("a body");
            wire.send(PROCESSING).await.expect("sent");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            wire.send([head.as_bytes(), &body].concat())
                .await
                .expect("sent");
            wire.rest().await;
        });
        let ambassador = serving(&origin).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        wire.send(head).await.expect("sent");
        // Which of the two goes first depends on who is faster: the hints are written by the connection, the 100 by the body.
        let mut told = [
            wire.head().await.expect("one"),
            wire.head().await.expect("two"),
        ];
        told.sort();
        assert_eq!(told[0], CONTINUE);
        assert_eq!(told[1].to_lowercase(), TOLD);
        wire.send("hello").await.expect("sent");
        assert_eq!(wire.head().await.expect("more"), PROCESSING);
        wire.head().await.expect("a response");
        assert_eq!(wire.exactly(5).await.expect("a body"), b"hello");
    });
}

/// What is lost on a kept connection is sent again without being asked for, but not once the upstream has it.
#[test]
fn a_request_that_was_answered_early_is_not_taken_for_one_that_was_lost() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            wire.head().await.expect("a head");
            wire.send(FINAL).await.expect("sent");
            if wire.head().await.is_ok() {
                wire.send(HINTS).await.expect("sent");
            }
        });
        let settings = format!("to: http://{}\nretry: {{attempts: 0}}", origin.address());
        let ambassador = Ambassador::start(&Config::of(&settings).with("workers: 1")).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send(REQUEST).await.expect("sent");
        wire.head().await.expect("a response");
        wire.exactly(2).await.expect("a body");
        wire.send(REQUEST).await.expect("sent");
        assert_eq!(wire.head().await.expect("hints").to_lowercase(), TOLD);
        let head = wire.head().await.expect("a response");
        assert!(head.starts_with("HTTP/1.1 502"), "{head}");
        assert_eq!(origin.connections(), 1);
    });
}

/// They are hints: what a client does not read is bounded, and what does not fit is left out.
#[test]
fn a_client_that_does_not_read_costs_no_memory_and_still_gets_its_response() {
    promise(async {
        const MANY: usize = 40_000;
        let (sent, all_sent) = tokio::sync::oneshot::channel();
        let sent = Arc::new(Mutex::new(Some(sent)));
        let origin = Scripted::start(move |mut wire, _| {
            let sent = Arc::clone(&sent);
            async move {
                wire.head().await.expect("a head");
                let hint = format!(
                    "HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n",
                    "x".repeat(1000)
                );
                for _ in 0..MANY / 100 {
                    wire.send(hint.repeat(100)).await.expect("sent");
                }
                let _ = sent.lock().await.take().expect("once").send(());
                wire.send(FINAL).await.expect("sent");
                wire.rest().await;
            }
        });
        let ambassador = serving(&origin).await;
        let before = ambassador.memory().resident;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send(REQUEST).await.expect("sent");
        all_sent.await.expect("all of them were taken");
        let more = ambassador.memory().resident.saturating_sub(before);
        assert!(more < 8 << 20, "{more} bytes more for 40 MiB of hints");
        let mut hints = 0;
        loop {
            let head = wire.head().await.expect("a head");
            if head.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(head.starts_with("HTTP/1.1 103"), "{head}");
            hints += 1;
        }
        assert!((1..MANY).contains(&hints), "{hints}");
        assert_eq!(wire.exactly(2).await.expect("a body"), b"ok");
    });
}

#[test]
fn they_pass_inside_tls() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = tempfile::tempdir().expect("a folder");
        authority
            .issue(&["web.test"], Validity::Now)
            .write(folder.path(), "web");
        let path = folder.path().display();
        let (origin, go) = piecewise(&[HINTS, FINAL]);
        let tls = format!("tls: {{cert: {path}/web.pem, key: {path}/web.key}}");
        let config = Config::of_sidecar(&format!("to: http://{}\n{tls}", origin.address()));
        let sidecar = Proxy::start(&config).await;
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let caller = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(sidecar.address()).await.expect("open");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(caller));
        let name = ServerName::try_from("web.test").expect("a name");
        let mut stream = connector.connect(name, tcp).await.expect("TLS");
        stream.write_all(REQUEST.as_bytes()).await.expect("sent");
        let mut told = vec![0; TOLD.len()];
        stream.read_exact(&mut told).await.expect("hints");
        assert_eq!(String::from_utf8_lossy(&told).to_lowercase(), TOLD);
        go.add_permits(1);
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("a response");
        assert_eq!(&status, b"HTTP/1.1 200");
    });
}
