//! HTTP/1.1 and HTTP/2 are chosen independently on both sides, and every pair carries all of HTTP.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, channel, full, get, post, request};
use remora_tests::origin::{Origin, echo, ok, status};
use remora_tests::promise::promise;
use tokio::task::JoinSet;

/// Everything the pairs are asked to do.
async fn answer(request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/echo" => echo(request),
        "/trailers" => with_trailers(),
        "/empty" => {
            let mut response = status(204);
            *response.body_mut() = full("");
            response
        }
        "/count" => {
            let body = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes().len());
            ok(format!("{body:?}"))
        }
        _ if request.method() == http::Method::HEAD => {
            let mut response = Response::new(full(""));
            response
                .headers_mut()
                .insert("content-length", HeaderValue::from_static("12"));
            response
        }
        _ => ok(request.uri().to_string()),
    }
}

fn with_trailers() -> Response<Body> {
    let (sender, body) = channel();
    tokio::spawn(async move {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("42"));
        let _ = sender
            .send(Ok(Frame::data(Bytes::from_static(b"body"))))
            .await;
        let _ = sender.send(Ok(Frame::trailers(trailers))).await;
    });
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("trailer", HeaderValue::from_static("x-sum"));
    response
}

async fn pair(protocol: Protocol, scheme: &str) {
    let origin = Origin::start(answer);
    let ambassador = Ambassador::serving(&format!("to: {scheme}://{}", origin.address())).await;
    let mut connection = Connection::open(ambassador.address(), protocol)
        .await
        .expect("open");

    let reply = connection
        .fetch(get("/plain?query=1&a=%2F.."))
        .await
        .expect("an answer");
    assert!(
        reply.text().ends_with("/plain?query=1&a=%2F.."),
        "{}",
        reply.text()
    );
    let speaks = if protocol == Protocol::Http1 {
        Version::HTTP_11
    } else {
        Version::HTTP_2
    };
    assert_eq!(reply.version, speaks);

    let reply = connection
        .fetch(post("/echo", "back to me"))
        .await
        .expect("an answer");
    assert_eq!(
        (reply.status.as_u16(), reply.text().as_str()),
        (200, "back to me")
    );

    let reply = connection.fetch(get("/empty")).await.expect("an answer");
    assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));

    let reply = connection
        .fetch(request("HEAD", "/plain"))
        .await
        .expect("an answer");
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-length"), "12");

    uploads_in_pieces(&mut connection).await;
    carries_trailers(&mut connection).await;

    let expected = if scheme == "h2c" {
        Version::HTTP_2
    } else {
        Version::HTTP_11
    };
    for request in origin.requests() {
        assert_eq!(request.version, expected);
    }
}

async fn uploads_in_pieces(connection: &mut Connection) {
    let (sender, body) = channel();
    let mut upload = request("PUT", "/count");
    *upload.body_mut() = body;
    tokio::spawn(async move {
        for _ in 0..100 {
            let _ = sender
                .send(Ok(Frame::data(Bytes::from_static(&[7; 5000]))))
                .await;
        }
    });
    let reply = connection.fetch(upload).await.expect("an answer");
    assert_eq!(reply.text(), "Ok(500000)");
}

async fn carries_trailers(connection: &mut Connection) {
    let mut asking = get("/trailers");
    asking
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    let reply = connection.fetch(asking).await.expect("an answer");
    assert_eq!(reply.text(), "body");
    assert_eq!(reply.trailers.get("x-sum").expect("a trailer"), "42");
}

#[test]
fn http1_to_http1() {
    promise(pair(Protocol::Http1, "http"));
}

#[test]
fn http1_to_http2() {
    promise(pair(Protocol::Http1, "h2c"));
}

#[test]
fn http2_to_http1() {
    promise(pair(Protocol::Http2, "http"));
}

#[test]
fn http2_to_http2() {
    promise(pair(Protocol::Http2, "h2c"));
}

#[test]
fn a_hundred_streams_at_once_on_one_connection() {
    promise(async {
        for scheme in ["http", "h2c"] {
            let origin = Origin::start(answer);
            let settings = format!("to: {scheme}://{}", origin.address());
            let ambassador = Ambassador::serving(&settings).await;
            let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
                .await
                .expect("open");
            let mut streams = JoinSet::new();
            for number in 0..100 {
                let response = connection
                    .begin(post("/echo", format!("{number}")))
                    .expect("a stream");
                streams.spawn(async move {
                    let reply = response.await.expect("an answer");
                    assert_eq!(reply.text(), number.to_string());
                });
            }
            while let Some(stream) = streams.join_next().await {
                stream.expect("a stream");
            }
        }
    });
}
