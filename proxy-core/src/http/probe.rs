//! Asks an endpoint how it is: an HTTP request, a gRPC health check, or a connection that is made.
//!
//! Each probe makes a connection of its own, so that one that cannot be made any more is found out.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::tls::{Offer, Reach, Reached};

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
    let offer = match question {
        Question::Connection => Offer::Nothing,
        Question::Http1(_) => Offer::Http1,
        Question::Http2(_) | Question::Grpc(_) => Offer::Http2,
        Question::Either(_) => Offer::Either,
    };
    let asked = async {
        let reached = reach.connect(offer, limit).await;
        let reached = reached.map_err(|fault| fault.story())?;
        let is_http2 = reached.is_http2();
        match reached {
            Reached::Plain(tcp) => ask(question, authority, tcp, is_http2).await,
            Reached::Secured(tls) => ask(question, authority, *tls, is_http2).await,
        }
    };
    match tokio::time::timeout(limit, asked).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

async fn ask<T>(
    question: &Question,
    authority: &Authority,
    stream: T,
    is_http2: bool,
) -> Result<(), String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match question {
        Question::Connection => Ok(()),
        Question::Grpc(service) => {
            judge_grpc(over_http2(stream, grpc(service, authority)?).await?).await
        }
        Question::Http2(path) => judge(over_http2(stream, get(path, authority)?).await?),
        Question::Either(path) if is_http2 => {
            judge(over_http2(stream, get(path, authority)?).await?)
        }
        Question::Http1(path) | Question::Either(path) => {
            judge(over_http1(stream, get(path, authority)?).await?)
        }
    }
}

fn get(path: &str, authority: &Authority) -> Result<Request<Full<Bytes>>, String> {
    request(Method::GET, path, authority, Bytes::new())
}

/// A unary call of a `HealthCheckRequest` whose one field, number 1, is the service's name.
fn grpc(service: &str, authority: &Authority) -> Result<Request<Full<Bytes>>, String> {
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
    let mut request = request(Method::POST, path, authority, frame.into())?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

fn request(
    method: Method,
    path: &str,
    authority: &Authority,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, String> {
    let uri = Uri::builder().scheme("http").authority(authority.clone());
    let uri = uri.path_and_query(path).build();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri.map_err(|error| error.to_string())?;
    let agent = HeaderValue::from_static("remora-health-check");
    request.headers_mut().insert(USER_AGENT, agent);
    Ok(request)
}

async fn over_http1<T>(
    stream: T,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authority = request.uri().authority().map_or("", Authority::as_str);
    let host = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, host);
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = path.into();
    }
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    tokio::spawn(driver);
    sender.send_request(request).await.map_err(told)
}

async fn over_http2<T>(
    stream: T,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (mut sender, driver) = http2::handshake(TokioExecutor::new(), io)
        .await
        .map_err(told)?;
    tokio::spawn(driver);
    sender.send_request(request).await.map_err(told)
}

fn told(error: hyper::Error) -> String {
    error.to_string()
}

fn judge(response: Response<Incoming>) -> Result<(), String> {
    match response.status().as_u16() {
        200..=399 => Ok(()),
        status => Err(format!("status {status}")),
    }
}

/// Good is a `HealthCheckResponse` whose field number 1 is SERVING (1).
async fn judge_grpc(response: Response<Incoming>) -> Result<(), String> {
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
