//! Asks an endpoint how it is: an HTTP request, a gRPC health check, or a connection that is made.
//!
//! Each probe makes a connection of its own, so that one that cannot be made any more is found out.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use tower::Service;

use super::client::{Client, ClientParams, Protocol};
use crate::body::Body;
use crate::fault::Fault;
use crate::telemetry::EntryCounters;
use crate::tls::{Offer, Reach};

/// What an endpoint is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Whether a connection can be made.
    Connection,
    /// A GET of this path over HTTP/1.1: a status from 200 to 399 is good.
    Http1(String),
    /// The same over HTTP/2.
    Http2(String),
    /// The same over the version that the endpoint chooses in the TLS handshake.
    Either(String),
    /// `grpc.health.v1.Health/Check` of this service; the empty name is the whole server's.
    Grpc(String),
}

/// Asks the endpoint that is called `authority` within `limit`; fails with what is wrong.
pub async fn probe(
    question: &Question,
    reach: &Reach,
    authority: &Authority,
    limit: Duration,
) -> Result<(), String> {
    let ask = |protocol, request| ask(protocol, reach, authority, limit, request);
    let asked = async {
        match question {
            Question::Connection => {
                let reached = reach.connect(Offer::Nothing, limit, None).await;
                reached.map(drop).map_err(told)
            }
            Question::Http1(path) => judge(&ask(Protocol::Http1, get(path)?).await?),
            Question::Http2(path) => judge(&ask(Protocol::Http2, get(path)?).await?),
            Question::Either(path) => judge(&ask(Protocol::Negotiated, get(path)?).await?),
            Question::Grpc(service) => {
                judge_grpc(ask(Protocol::Http2, grpc(service)?).await?).await
            }
        }
    };
    match tokio::time::timeout(limit, asked).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// Sends the request on a connection that nothing else uses, and that nothing counts.
async fn ask(
    protocol: Protocol,
    reach: &Reach,
    authority: &Authority,
    limit: Duration,
    request: Request<Body>,
) -> Result<Response<Body>, String> {
    let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
    let params = ClientParams {
        protocol,
        connect: limit,
        ..ClientParams::default()
    };
    let counters = Arc::new(EntryCounters::default());
    let mut client = Client::new(reach.clone(), authority, &host, params, counters);
    client.call(request).await.map_err(told)
}

fn told(fault: Fault) -> String {
    fault.story()
}

fn get(path: &str) -> Result<Request<Body>, String> {
    request(Method::GET, path, Body::empty())
}

/// A unary call of a `HealthCheckRequest` whose one field, number 1, is the service's name.
fn grpc(service: &str) -> Result<Request<Body>, String> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        // Names are limited to 127 bytes where they are configured: one byte tells the length.
        message.push(service.len().min(127) as u8);
        message.extend_from_slice(&service.as_bytes()[..service.len().min(127)]);
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(&message);
    let path = "/grpc.health.v1.Health/Check";
    let mut request = request(Method::POST, path, Body::full(frame))?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>, String> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|error| format!("{path}: {error}"))?;
    let agent = HeaderValue::from_static("remora-health-check");
    request.headers_mut().insert(USER_AGENT, agent);
    Ok(request)
}

fn judge(response: &Response<Body>) -> Result<(), String> {
    match response.status().as_u16() {
        200..=399 => Ok(()),
        status => Err(format!("status {status}")),
    }
}

/// Good is a `HealthCheckResponse` whose field number 1 is SERVING (1).
async fn judge_grpc(response: Response<Body>) -> Result<(), String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, 4 * 1024).collect().await;
    let body = body.map_err(|error| error.to_string())?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let status = trailers
        .get("grpc-status")
        .or(head.headers.get("grpc-status"));
    match status.map(HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(status) => return Err(format!("gRPC status {}", String::from_utf8_lossy(status))),
        None => return Err("no gRPC status".to_owned()),
    }
    match body.to_bytes().get(5..) {
        Some([0x08, 1, ..]) => Ok(()),
        _ => Err("the service is not serving".to_owned()),
    }
}
