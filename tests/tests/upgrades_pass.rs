//! WebSocket and any other HTTP/1.1 upgrade become a tunnel, and only after the origin's 101.

use futures_util::{SinkExt, StreamExt};
use remora_tests::ambassador::Ambassador;
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use remora_tests::wire::{Ending, Wire};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

const ASK: &str =
    "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: remora-test\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: remora-test\r\n\r\n";

#[test]
fn websocket_echo() {
    promise(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = listener.local_addr().expect("a bound socket");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{origin}")).await;
        let url = format!("ws://{}/chat", ambassador.address());
        let connected = expect("a handshake", tokio_tungstenite::connect_async(url)).await;
        let (mut socket, response) = connected.expect("a WebSocket");
        assert_eq!(response.status(), 101);
        let messages = [
            Message::text("hello"),
            Message::binary(vec![7; 1 << 20]),
            Message::Ping("are you there".into()),
            Message::text(""),
        ];
        for message in messages {
            socket.send(message.clone()).await.expect("sent");
            let reply = expect("an echo", socket.next())
                .await
                .expect("open")
                .expect("a message");
            match message {
                Message::Ping(data) => assert_eq!(reply, Message::Pong(data)),
                message => assert_eq!(reply, message),
            }
        }
        socket.close(None).await.expect("closed");
        let end = expect("the end", socket.next()).await;
        assert!(matches!(end, None | Some(Ok(Message::Close(_)))), "{end:?}");
        assert_eq!(ambassador.logged("/chat").await["status"], 101);
    });
}

async fn echo(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let data = message.is_text() || message.is_binary();
        if data && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[test]
fn another_protocol_with_bytes_right_behind_the_101() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let head = wire.head().await.unwrap_or_default().to_lowercase();
            if !head.contains("upgrade: remora-test") || !head.contains("connection: upgrade") {
                let _ = wire
                    .send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    .await;
                return;
            }
            let _ = wire.send(format!("{SWITCH}first")).await;
            let line = wire.through("\n").await.unwrap_or_default();
            let _ = wire.send(format!("you said {line}")).await;
            let (rest, _) = wire.rest().await;
            let _ = wire
                .send(format!("then {}", String::from_utf8_lossy(&rest)))
                .await;
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send(ASK).await.expect("sent");
        let head = wire.head().await.expect("a head").to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("upgrade: remora-test"), "{head}");
        wire.through("first")
            .await
            .expect("the bytes behind the head");
        wire.send("hi\n").await.expect("sent");
        wire.through("you said hi\n").await.expect("an answer");
        wire.send("bye").await.expect("sent");
        wire.finish().await.expect("half closed");
        let (rest, ending) = wire.rest().await;
        assert_eq!((&rest[..], ending), (&b"then bye"[..], Ending::Closed));
    });
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    promise(async {
        let answer = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno";
        let origin = Scripted::answering(answer);
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send(ASK).await.expect("sent");
        assert!(
            wire.head()
                .await
                .expect("a head")
                .starts_with("HTTP/1.1 426 ")
        );
        assert_eq!(wire.exactly(2).await.expect("a body"), b"no");
    });
}

#[test]
fn bytes_sent_before_the_101_never_reach_another_request() {
    promise(async {
        // The origin refuses, so the early bytes must not become a request of their own there.
        let origin = Scripted::start(|mut wire, _| async move {
            while let Ok(head) = wire.head().await {
                let answer = if head.contains("/smuggled") {
                    "200 OK"
                } else {
                    "403 Forbidden"
                };
                let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                let _ = wire.send(answer).await;
            }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let early = format!("{ASK}\0\0not a request, though: GET /smuggled HTTP/1.1\r\n\r\n");
        wire.send(early).await.expect("sent");
        assert!(
            wire.head()
                .await
                .expect("a head")
                .starts_with("HTTP/1.1 403 ")
        );
        let (rest, _) = wire.rest().await;
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(!rest.contains(" 200 "), "{rest}");
    });
}

#[test]
fn an_upgrade_to_h2c_is_not_passed_on() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let head = wire.head().await.unwrap_or_default().to_lowercase();
            let bad = head.contains("h2c") || head.contains("http2-settings");
            let status = if bad { "500 Passed on" } else { "200 OK" };
            let _ = wire
                .send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
                .await;
            wire.rest().await;
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
        wire.send(ask).await.expect("sent");
        let head = wire.head().await.expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    });
}
