//! What becomes of a request between its turn and its connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use socket2::SockRef;
use tower::Service;

use super::{Client, ClientParams};
use crate::address::Address;
use crate::body::Body;
use crate::telemetry::{EntryCounters, Exchange};
use crate::tls::Reach;

/// Answers one request on each of two connections with the connection's number. The first is reset when the word
/// is given, and that is told.
fn upstream() -> (Authority, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (reset, word) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let first = answered(&listener, "1");
        word.recv().unwrap();
        SockRef::from(&first)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        drop(first);
        tell.send(()).unwrap();
        let _second = answered(&listener, "2");
        let _ = word.recv();
    });
    (authority.parse().unwrap(), reset, told)
}

fn answered(listener: &TcpListener, number: &str) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
    stream.write_all(answer.as_bytes()).unwrap();
    stream
}

fn client(authority: &Authority) -> (Client, Arc<EntryCounters>) {
    let counters = Arc::new(EntryCounters::default());
    let address = Address::from(authority.as_str().parse::<std::net::SocketAddr>().unwrap());
    let reach = Reach::new(&address, authority.host(), None);
    let host = HeaderValue::from_str(authority.as_str()).unwrap();
    let params = ClientParams::default();
    let client = Client::new(reach, authority, &host, params, Arc::clone(&counters));
    (client, counters)
}

fn request(method: Method) -> (Request<Body>, Exchange) {
    let exchange = Exchange::begin(Arc::default(), None);
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    request.extensions_mut().insert(exchange.clone());
    (request, exchange)
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[tokio::test]
async fn a_connection_that_was_reset_meanwhile_is_no_try() {
    let (authority, reset, told) = upstream();
    let (mut client, counters) = client(&authority);
    let first = client.call(request(Method::POST).0).await.unwrap();
    assert_eq!(text(first).await, "1");

    let (request, exchange) = request(Method::POST);
    let mut call = client.call(request);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    reset.send(()).unwrap();
    // The runtime hears nothing of it: this thread is blocked.
    told.recv().unwrap();
    assert_eq!(text(call.await.unwrap()).await, "2");
    assert_eq!(counters.tries.load(Relaxed), 2);
    assert!(exchange.take_up().is_some(), "laid down for a retry");
}

#[tokio::test]
async fn a_request_that_is_given_up_in_its_turn_takes_no_connection() {
    let (authority, _reset, _told) = upstream();
    let (mut client, counters) = client(&authority);
    let first = client.call(request(Method::GET).0).await.unwrap();
    assert_eq!(text(first).await, "1");

    let (request, exchange) = request(Method::GET);
    let mut call = client.call(request);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    drop(call);
    assert!(exchange.take_up().is_some(), "laid down for a retry");
    assert_eq!(counters.tries.load(Relaxed), 1);
    assert_eq!(counters.upstream_connections.load(Relaxed), 1, "still open");
}
