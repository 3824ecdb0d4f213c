//! What the proxy itself says to a gRPC client is a gRPC status, with the reason in `Proxy-Status`.

use http::{HeaderValue, Request};
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, Reply, full, post};
use remora_tests::grpc::{Note, NotesClient};
use remora_tests::origin::{Origin, hang};
use remora_tests::promise::promise;
use remora_tests::scripted::{Scripted, refusing};
use tonic::Code;

fn call() -> Request<Body> {
    let mut request = post("/remora.test.Notes/Unary", "");
    *request.body_mut() = full([0, 0, 0, 0, 0].to_vec());
    let kind = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", kind);
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    request
}

async fn fault(settings: &str) -> Reply {
    let ambassador = Ambassador::serving(settings).await;
    let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
        .await
        .expect("open");
    let reply = connection.fetch(call()).await.expect("an answer");
    assert_eq!(reply.status, 200, "{:?}", reply.headers);
    assert!(
        reply.header("content-type").starts_with("application/grpc"),
        "{:?}",
        reply.headers
    );
    let message = status_field(&reply, "grpc-message");
    assert!(!message.is_empty(), "{reply:?}");
    reply
}

/// A field of the status, wherever it stands: in the head of an answer without a body, or after one.
fn status_field(reply: &Reply, name: &str) -> String {
    let value = reply.trailers.get(name).or_else(|| reply.headers.get(name));
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn refused_is_unavailable() {
    promise(async {
        let (nobody, _held) = refusing();
        let reply = fault(&format!("to: h2c://{nobody}")).await;
        assert_eq!(status_field(&reply, "grpc-status"), "14");
        assert_eq!(reply.proxy_error(), "connection_refused");
    });
}

#[test]
fn garbage_is_a_status_too() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.send("this is not HTTP/2\r\n\r\n").await;
        });
        let reply = fault(&format!("to: h2c://{}\nretry: off", origin.address())).await;
        assert_ne!(status_field(&reply, "grpc-status"), "0");
        assert_ne!(reply.proxy_error(), "");
    });
}

#[test]
fn a_timeout_is_deadline_exceeded() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!(
            "to: h2c://{}\ntimeout: {{request: 300ms}}",
            origin.address()
        );
        let reply = fault(&settings).await;
        assert_eq!(status_field(&reply, "grpc-status"), "4");
        assert_eq!(reply.proxy_error(), "http_response_timeout");
    });
}

#[test]
fn a_tonic_client_understands_it() {
    promise(async {
        let (nobody, _held) = refusing();
        let ambassador = Ambassador::serving(&format!("to: h2c://{nobody}")).await;
        let mut client = NotesClient::connect(ambassador.address()).await;
        let status = client.unary(tonic::Request::new(Note::new("", 0))).await;
        assert_eq!(status.expect_err("a status").code(), Code::Unavailable);
    });
}
