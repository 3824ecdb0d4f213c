//! A header of the PROXY protocol from whom it is accepted says who called, byte by byte and before TLS; from anybody
//! else nothing passes. What is sent of it to the workload tells each of its connections by one caller alone.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::config::Config;
use remora_tests::lines::{Lines, says};
use remora_tests::needs;
use remora_tests::netns::Namespace;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, binary};
use remora_tests::scripted::Scripted;
use remora_tests::wire::{Ending, Wire};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 203.0.113.8 4711 443\r\n";
const REQUEST: &str =
    "GET /PATH HTTP/1.1\r\nHost: web.test\r\nx-remora-explain: 1\r\nConnection: close\r\n\r\n";

/// A header of version 2 that says the same as [`LINE`], with a name behind it.
fn bytes() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 203, 0, 113, 8, 0x12, 0x67, 0x01, 0xbb];
    let name = b"\x02\x00\x08web.test";
    [V2, &[0x21, 0x11, 0, 23], &addresses, name].concat()
}

fn to(origin: SocketAddr, more: &str) -> Config {
    Config::of_sidecar(&format!("to: http://{origin}\n{more}"))
}

const FROM_HERE: &str = "proxy-protocol: {from: [127.0.0.0/8]}";

async fn count(sidecar: &Proxy, result: &str, wanted: f64) {
    let labels = [("entry", "web"), ("result", result)];
    sidecar
        .metric(
            "remora_proxy_protocol_connections_total",
            &labels,
            |count| count == wanted,
        )
        .await;
}

#[test]
fn what_the_header_says_is_the_peer_everywhere() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let sidecar = Proxy::start(&to(origin.address(), FROM_HERE)).await;
        let local = [V2, &[0x20, 0, 0, 0]].concat();
        let headers: [(&[u8], &str); 4] = [
            (LINE, "203.0.113.7"),
            (&bytes(), "203.0.113.7"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            (&local, "127.0.0.1"),
        ];
        for (number, (header, client)) in headers.into_iter().enumerate() {
            let path = format!("{number}");
            let mut wire = Wire::connect(sidecar.address()).await;
            // One byte at a time, as the network may have it.
            for byte in [header, REQUEST.replace("PATH", &path).as_bytes()].concat() {
                wire.send([byte]).await.expect("sent");
            }
            let (answer, _) = wire.rest().await;
            let answer = String::from_utf8(answer).expect("text");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            // Only who is on this machine may ask.
            let explained = answer.to_lowercase().contains("x-remora-explain");
            assert_eq!(explained, client == "127.0.0.1", "{answer}");
            let requests = origin.received(number + 1).await;
            assert_eq!(requests[number].headers["x-forwarded-for"], client);
            let logged = sidecar.logged(&format!("/{path}")).await;
            let logged = logged["client"].as_str().expect("an address").to_owned();
            match client {
                "203.0.113.7" => assert_eq!(logged, "203.0.113.7:4711"),
                _ => assert_eq!(logged, wire.local().to_string()),
            }
        }
        count(&sidecar, "proxied", 2.0).await;
        count(&sidecar, "local", 2.0).await;
    });
}

#[test]
fn the_header_comes_before_tls_and_nothing_behind_it_is_lost() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = tempfile::tempdir().expect("a folder");
        let pair = authority.issue(&["web.test"], Validity::Now);
        pair.write(folder.path(), "web");
        let path = folder.path().display();
        let origin = Origin::start(|_| async { ok("fine") });
        let tls = format!("{FROM_HERE}\ntls: {{cert: {path}/web.pem, key: {path}/web.key}}");
        let sidecar = Proxy::start(&to(origin.address(), &tls)).await;
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let caller = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        for header in [LINE, &bytes()] {
            let mut tcp = TcpStream::connect(sidecar.address()).await.expect("open");
            tcp.write_all(header).await.expect("sent");
            let connector = tokio_rustls::TlsConnector::from(Arc::new(caller.clone()));
            let name = ServerName::try_from("web.test").expect("a name");
            let mut stream = connector.connect(name, tcp).await.expect("TLS");
            let request = REQUEST.as_bytes();
            stream.write_all(request).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        for request in origin.received(2).await {
            assert_eq!(request.headers["x-forwarded-for"], "203.0.113.7");
            assert_eq!(request.headers["x-forwarded-proto"], "https");
        }
    });
}

#[test]
fn whoever_is_not_known_and_whatever_is_no_header_is_turned_away() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let strange = "proxy-protocol: {from: [192.0.2.0/24, '2001:db8::/32']}";
        let sidecar = Proxy::start(&to(origin.address(), strange)).await;
        for sent in [LINE, b"", REQUEST.as_bytes()] {
            let mut wire = Wire::connect(sidecar.address()).await;
            let _ = wire.send(sent).await;
            assert_eq!(wire.rest().await.0, b"", "{sent:?}");
        }
        count(&sidecar, "untrusted", 3.0).await;

        let sidecar = Proxy::start(&to(origin.address(), FROM_HERE)).await;
        let cut = [V2, &[0x21, 0x11, 0, 3, 1, 2, 3]].concat();
        let huge = [V2, &[0x21, 0x11, 0xff, 0xff]].concat();
        let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
        let malformed = [
            REQUEST.as_bytes(),
            b"PROXY TCP4 a b 1 2\r\n",
            &cut,
            &huge,
            long.as_bytes(),
        ];
        for sent in malformed {
            let mut wire = Wire::connect(sidecar.address()).await;
            wire.send(sent).await.expect("sent");
            assert_eq!(wire.rest().await.0, b"", "{sent:?}");
        }
        count(&sidecar, "malformed", malformed.len() as f64).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send(&LINE[..LINE.len() - 1]).await.expect("sent");
        wire.finish().await.expect("closed");
        assert_eq!(wire.rest().await, (Vec::new(), Ending::Closed));
        count(&sidecar, "closed", 1.0).await;
        assert_eq!(origin.count(), 0);
    });
}

/// A drain waits for no header.
#[test]
fn who_has_not_said_who_they_are_keeps_no_process_up() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = to(origin.address(), FROM_HERE).with("drain: {delay: 0s}");
        let mut sidecar = Proxy::start(&config).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send(&LINE[..7]).await.expect("sent");
        let open = [("entry", "web")];
        sidecar
            .metric("remora_downstream_connections", &open, |count| count == 1.0)
            .await;
        sidecar.signal(rustix::process::Signal::TERM);
        assert!(sidecar.exit().await.success());
        assert_eq!(wire.rest().await.0, b"");
    });
}

/// An upstream that wants a line first, answers each request with that line, and tells of its connections.
fn introduced() -> (Scripted, mpsc::UnboundedReceiver<(usize, String, String)>) {
    let (sender, told) = mpsc::unbounded_channel();
    let origin = Scripted::start(move |mut wire, number| {
        let sender = sender.clone();
        async move {
            let Ok(line) = wire.through("\r\n").await else {
                return;
            };
            while let Ok(head) = wire.head().await {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let _ = sender.send((number, line.clone(), path));
                if wire
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    });
    (origin, told)
}

#[test]
fn a_connection_to_the_workload_is_one_callers_alone() {
    promise(async {
        let (origin, mut told) = introduced();
        let config = to(origin.address(), "send-proxy: v1").with("workers: 1");
        let sidecar = Proxy::start(&config).await;
        let open = || Connection::open(sidecar.address(), Protocol::Http1);
        let (mut first, mut second) = (open().await.expect("open"), open().await.expect("open"));
        let mut seen = Vec::new();
        for (caller, path) in [(0, "/a"), (1, "/b"), (0, "/c"), (1, "/d")] {
            let caller = if caller == 0 { &mut first } else { &mut second };
            let reply = caller.fetch(get(path)).await.expect("an answer");
            assert_eq!(reply.text(), "ok");
            let (connection, line, asked) = told.recv().await.expect("a request");
            assert_eq!(asked, path);
            let port = sidecar.address().port();
            assert!(
                line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "),
                "{line}"
            );
            assert!(line.ends_with(&format!(" {port}\r\n")), "{line}");
            seen.push((connection, line));
        }
        // Each caller's second request came where its first one did, and on nobody else's.
        assert_eq!(seen[0], seen[2]);
        assert_eq!(seen[1], seen[3]);
        assert_ne!(seen[0].0, seen[1].0);
        assert_ne!(seen[0].1, seen[1].1);
        // Of callers that are gone nothing is left long before `pool.idle`, which is a minute.
        drop((first, second));
        let none = |count: f64| count == 0.0;
        let entry = [("entry", "web")];
        sidecar
            .metric("remora_upstream_connections", &entry, none)
            .await;
    });
}

#[test]
fn what_was_told_is_told_on_and_our_own_checks_are_nobodys() {
    promise(async {
        let (origin, mut told) = introduced();
        let more = format!("{FROM_HERE}\nsend-proxy: v1\nhealth: {{path: /health}}");
        let sidecar = Proxy::start(&to(origin.address(), &more)).await;
        let (_, line, path) = told.recv().await.expect("a check");
        assert_eq!(
            (line.as_str(), path.as_str()),
            ("PROXY UNKNOWN\r\n", "/health")
        );
        let mut wire = Wire::connect(sidecar.address()).await;
        let request = REQUEST.replace("PATH", "told");
        wire.send([LINE, request.as_bytes()].concat())
            .await
            .expect("sent");
        wire.head().await.expect("an answer");
        loop {
            let (_, line, path) = told.recv().await.expect("a request");
            if path == "/told" {
                assert_eq!(line.as_bytes(), LINE);
                return;
            }
        }
    });
}

#[test]
fn bytes_are_passed_on_with_a_header_of_their_own() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let header = wire.exactly(28).await.expect("a header");
            let rest = wire.exactly(5).await.expect("bytes");
            wire.send([header, rest].concat()).await.expect("sent");
        });
        let settings = format!(
            "to: tcp://{}\n{FROM_HERE}\nsend-proxy: v2",
            origin.address()
        );
        let sidecar = Proxy::start(&Config::of_sidecar(&settings)).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send([LINE, b"hello"].concat()).await.expect("sent");
        let (answer, _) = wire.rest().await;
        let told = bytes();
        // The same addresses, without the name.
        let header = [&told[..14], &[0, 12], &told[16..28]].concat();
        assert_eq!(answer, [&header[..], b"hello"].concat());
    });
}

#[test]
fn what_is_sent_comes_before_tls_too() {
    promise(async {
        let (sender, mut told) = mpsc::unbounded_channel();
        let origin = Scripted::start(move |mut wire, _| {
            let sender = sender.clone();
            async move {
                let line = wire.through("\r\n").await.expect("a line");
                let first = wire.exactly(1).await.expect("a first byte");
                let _ = sender.send((line, first));
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("the test's");
        place(folder.path(), "ca.pem", &authority.pem());
        let ca = folder.path().join("ca.pem");
        let tls = format!("tls: {{ca: {}}}\nretry: off", ca.display());
        let settings = format!("to: tls://{}\n{tls}\nsend-proxy: v1", origin.address());
        let ambassador = Proxy::serving(&settings).await;
        let wire = Wire::connect(ambassador.address()).await;
        let (line, first) = told.recv().await.expect("a connection");
        let (own, there) = (wire.local().port(), ambassador.address().port());
        assert_eq!(
            line,
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} {there}\r\n")
        );
        // The type of a handshake record (RFC 8446, section 5.1).
        assert_eq!(first, [22]);
    });
}

#[test]
fn a_reload_holds_for_connections_that_are_there_already() {
    promise(async {
        let (sender, mut told) = mpsc::unbounded_channel();
        let origin = Scripted::start(move |mut wire, _| {
            let sender = sender.clone();
            async move {
                while let Ok(head) = wire.head().await {
                    let _ = sender.send(head);
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if wire.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        });
        let config = |more: &str| to(origin.address(), more).with("workers: 1");
        let sidecar = Proxy::start(&config("")).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for (more, begins) in [
            ("", "GET "),
            ("send-proxy: v1", "PROXY TCP4 127.0.0.1 "),
            ("", "GET "),
        ] {
            sidecar.rewrite(&config(more).text());
            assert_eq!(sidecar.ask("POST", "/reload").await.status, 200);
            wire.send(request).await.expect("sent");
            wire.head().await.expect("an answer");
            wire.exactly(2).await.expect("a body");
            let head = told.recv().await.expect("a request");
            assert!(head.starts_with(begins), "{more}: {head}");
        }
        assert_eq!(origin.connections(), 3);
    });
}

/// HAProxy sends and takes both versions, a checksum and a name among its values.
#[test]
fn haproxy_is_understood_and_understands() {
    let programs = [("ip", "iproute2"), ("haproxy", "haproxy"), ("curl", "curl")];
    if !needs::met(&programs, true) {
        return;
    }
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = Namespace::new("nameserver 127.0.0.1\n");
        let options = "proxy-v2-options crc32c,unique-id";
        let configuration = format!(
            "defaults\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             listen v1\n mode tcp\n bind 127.0.0.1:8001\n server s 127.0.0.1:9001 send-proxy\n\
             listen v2\n mode tcp\n bind 127.0.0.1:8002\n unique-id-format \"%[uuid()]\"\n \
             server s 127.0.0.1:9002 send-proxy-v2 {options}\n\
             frontend behind\n mode http\n bind 127.0.0.1:7000 accept-proxy\n \
             http-request return status 200 content-type text/plain lf-string \"%[src] %[dst_port]\\n\"\n"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).expect("a file");
        let mut command = inside.command("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        let (_haproxy, _) = follow(command);
        let entry = |version: &str| {
            format!(
                "  {version}:\n    listen: 127.0.0.1:900{}\n    to: http://127.0.0.1:7000\n    {FROM_HERE}\n    send-proxy: {version}\n",
                &version[1..]
            )
        };
        let text = format!("admin: off\nsidecar:\n{}{}", entry("v1"), entry("v2"));
        let file = folder.path().join("remora.yaml");
        std::fs::write(&file, text).expect("a file");
        let mut command = inside.command(binary(SIDECAR).to_str().expect("a path in UTF-8"));
        command.arg("-c").arg(&file);
        let (_sidecar, log) = follow(command);
        log.find("line `ready`", |line| says(line, "ready")).await;
        for port in ["8001", "8002"] {
            let told = until("an answer through HAProxy", async || {
                let mut command = inside.command("curl");
                let url = format!("http://127.0.0.1:{port}/");
                command.args(["-sf", "--interface", "127.0.0.9", &url]);
                let output = command.output().await.expect("curl starts");
                output
                    .status
                    .success()
                    .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            });
            assert_eq!(told.await, format!("127.0.0.9 {port}\n"));
        }
    });
}

fn follow(mut command: Command) -> (Child, Lines) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("the program starts");
    let log = Lines::collect("a log", child.stderr.take().expect("stderr"));
    (child, log)
}
