//! The one place that turns a [`Fault`] into a response.
//!
//! Every such response says which hop failed and why: in `Proxy-Status` (RFC 9209), in a sentence
//! of text, and for gRPC calls in `grpc-status` and `grpc-message` with HTTP status 200, as gRPC's
//! HTTP/2 mapping wants it. What happened behind the proxy names addresses: it is told to those alone who
//! may have a request explained, and others learn the reason and what was wrong with their own request.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Allowed;
use crate::body::{Body, withhold};
use crate::fault::{Fault, Reason, Side};
use crate::telemetry::Exchange;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Wraps services in [`Respond`].
#[derive(Debug, Clone)]
pub struct RespondLayer {
    told: Allowed,
}

impl RespondLayer {
    /// Tells what happened behind the proxy to those that `told` permits.
    pub fn new(told: Allowed) -> Self {
        Self { told }
    }
}

impl<S> Layer<S> for RespondLayer {
    type Service = Respond<S>;

    fn layer(&self, inner: S) -> Respond<S> {
        Respond {
            inner,
            told: self.told,
        }
    }
}

/// Answers with a response where the inner service answers with a fault; never fails.
#[derive(Debug, Clone)]
pub struct Respond<S> {
    inner: S,
    told: Allowed,
}

impl<S> Service<Request<Body>> for Respond<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RespondFuture<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let exchange = request.extensions().get::<Exchange>().cloned();
        let grpc = is_grpc(&request);
        let to_head = *request.method() == Method::HEAD;
        RespondFuture {
            inner: self.inner.call(request),
            told: self.told,
            exchange,
            grpc,
            to_head,
        }
    }
}

pin_project! {
    /// The response of [`Respond`].
    pub struct RespondFuture<F> {
        #[pin]
        inner: F,
        told: Allowed,
        exchange: Option<Exchange>,
        grpc: bool,
        to_head: bool,
    }
}

impl<F> Future for RespondFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match ready!(this.inner.poll(cx)) {
            Ok(response) => response,
            Err(fault) => {
                let exchange = this.exchange.as_ref();
                if let Some(exchange) = exchange {
                    exchange.fail(&fault);
                }
                let is_own = fault.reason().side() == Side::Downstream;
                let is_told = is_own
                    || match exchange {
                        Some(exchange) => this.told.permits(exchange),
                        None => *this.told == Allowed::All,
                    };
                let details = is_told.then(|| fault.story());
                let mut response = match *this.grpc {
                    true => grpc_response(&fault, details.as_deref()),
                    false => text_response(&fault, details.as_deref()),
                };
                if *this.to_head {
                    withhold(&mut response);
                }
                response
            }
        }))
    }
}

fn is_grpc(request: &Request<Body>) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn text_response(fault: &Fault, details: Option<&str>) -> Response<Body> {
    let reason = fault.reason();
    let text = sentence(reason, details);
    let mut response = Response::new(Body::full(text + "\n"));
    *response.status_mut() = fault.status();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(PROXY_STATUS, proxy_status(reason, details));
    if reason == Reason::RequestError {
        // What follows a request that cannot be trusted cannot be trusted either.
        response
            .headers_mut()
            .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn grpc_response(fault: &Fault, details: Option<&str>) -> Response<Body> {
    let code = match fault.status() {
        StatusCode::BAD_REQUEST => "3",
        StatusCode::GATEWAY_TIMEOUT => "4",
        StatusCode::INTERNAL_SERVER_ERROR => "13",
        _ => "14",
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
    headers.insert(
        GRPC_MESSAGE,
        percent_encoded(&sentence(fault.reason(), details)),
    );
    headers.insert(PROXY_STATUS, proxy_status(fault.reason(), details));
    response
}

/// The reason, and the details of those who are told.
fn sentence(reason: Reason, details: Option<&str>) -> String {
    let token = reason.token();
    details.map_or_else(|| token.to_owned(), |details| format!("{token}: {details}"))
}

/// `remora; error=TYPE; details="..."`, the details as a structured-field string (RFC 8941, 3.3.3).
fn proxy_status(reason: Reason, details: Option<&str>) -> HeaderValue {
    let mut text = format!("remora; error={}", reason.token());
    if let Some(details) = details {
        text.push_str("; details=\"");
        for c in details.chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                ' '..='~' => text.push(c),
                _ => text.push('?'),
            }
        }
        text.push('"');
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("remora"))
}

/// gRPC's percent-encoding of a status message: everything outside printable ASCII, and `%`.
fn percent_encoded(message: &str) -> HeaderValue {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' => text.push_str("%25"),
            b' '..=b'~' => text.push(byte.into()),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_a_structured_field_string() {
        let status = proxy_status(Reason::DnsError, Some("no \"such\" näme"));
        assert_eq!(
            status,
            r#"remora; error=dns_error; details="no \"such\" n?me""#
        );
        let status = proxy_status(Reason::DnsError, None);
        assert_eq!(status, "remora; error=dns_error");
    }

    #[test]
    fn a_grpc_message_is_percent_encoded() {
        assert_eq!(percent_encoded("50% ä"), "50%25 %C3%A4");
    }
}
