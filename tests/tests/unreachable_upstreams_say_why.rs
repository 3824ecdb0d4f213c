//! When an upstream cannot be reached, the answer is 502, 503 or 504 with the reason in
//! `Proxy-Status` (RFC 9209), and the same sentence in the body.

use std::net::SocketAddr;
use std::time::Duration;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, Reply, get, once};
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::origin::{Origin, hang};
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::{Scripted, ephemeral, refusing};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

async fn fault(config: &Config, status: u16, reason: &str) -> Reply {
    let ambassador = Ambassador::start(config).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut connection = Connection::open(ambassador.address(), protocol)
            .await
            .expect("open");
        let reply = connection.fetch(get("/")).await.expect("an answer");
        assert_fault(&reply, status, reason);
    }
    let faults = [("entry", "users"), ("reason", reason)];
    ambassador
        .metric("remora_faults_total", &faults, |value| value == 2.0)
        .await;
    once(ambassador.address(), get("/"))
        .await
        .expect("an answer")
}

fn assert_fault(reply: &Reply, status: u16, reason: &str) {
    assert_eq!(
        (reply.status.as_u16(), reply.proxy_error()),
        (status, reason),
        "{reply:?}"
    );
    let field = reply.header("proxy-status");
    assert!(field.starts_with("remora;"), "{field}");
    assert!(field.contains("details=\""), "{field}");
    assert!(
        reply.header("content-type").starts_with("text/plain"),
        "{reply:?}"
    );
    assert!(!reply.text().trim().is_empty());
}

#[test]
fn nobody_listens() {
    promise(async {
        let (nobody, _held) = refusing();
        let config = Config::of(&format!("to: http://{nobody}"));
        let reply = fault(&config, 502, "connection_refused").await;
        assert!(
            reply.text().contains(&nobody.to_string()),
            "{}",
            reply.text()
        );
    });
}

#[test]
fn nobody_answers_the_connection() {
    promise(async {
        // A full backlog: the kernel drops further attempts, as a dead host does.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&ephemeral().into()).expect("a port");
        socket.listen(0).expect("a backlog of none");
        let address: SocketAddr = socket
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
            .expect("bound");
        let mut taken = Vec::new();
        while let Ok(connected) =
            tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
        {
            taken.push(connected.expect("a place in the backlog"));
        }
        let settings = format!("to: http://{address}\nretry: off\ntimeout: {{connect: 200ms}}");
        fault(&Config::of(&settings), 504, "connection_timeout").await;
    });
}

#[test]
fn the_answer_takes_too_long() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let address = origin.address();
        for timeout in ["request: 300ms", "try: 300ms"] {
            let settings = format!("to: http://{address}\nretry: off\ntimeout: {{{timeout}}}");
            fault(&Config::of(&settings), 504, "http_response_timeout").await;
        }
    });
}

#[test]
fn the_connection_ends_before_an_answer() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
        });
        let config = Config::of(&format!("to: http://{}\nretry: off", origin.address()));
        fault(&config, 502, "connection_terminated").await;
    });
}

#[test]
fn the_name_does_not_exist() {
    promise(async {
        let dns = Dns::start().await;
        let config = Config::of("to: http://users.test:80").with(&dns.setting());
        let reply = fault(&config, 502, "dns_error").await;
        assert!(reply.text().contains("users.test"), "{}", reply.text());
    });
}

#[test]
fn the_name_server_is_silent() {
    promise(async {
        let dns = Dns::start().await;
        dns.set("users.test", Answer::Silence);
        let config = Config::of("to: http://users.test:80").with(&dns.setting());
        fault(&config, 504, "dns_timeout").await;
    });
}

#[test]
fn the_pool_is_full() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!(
            "to: http://{}\nretry: off\npool: {{connections: 1, pending: 0}}",
            origin.address()
        );
        let config = Config::of(&settings).with("workers: 1");
        let ambassador = Ambassador::start(&config).await;
        let mut first = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let flight = tokio::spawn(async move { first.fetch(get("/")).await });
        origin.received(1).await;
        let reply = expect("an answer", once(ambassador.address(), get("/"))).await;
        assert_fault(&reply.expect("an answer"), 503, "connection_limit_reached");
        flight.abort();
    });
}
