//! Gives one answer to every request: a status, and a body in memory.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tower::Service;

use crate::body::{Body, withhold};
use crate::fault::Fault;

/// The answer. By default 404 without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Any final status.
    pub status: StatusCode,
    /// The body; every answer shares it.
    pub body: Bytes,
    /// What the body is.
    pub content_type: Option<HeaderValue>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            body: Bytes::new(),
            content_type: None,
        }
    }
}

/// Why this is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More responses would have to follow.
    #[error("{0} announces an answer and is none")]
    Informational(StatusCode),
    /// Responses with this status have no body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5).
    #[error("an answer with {0} has no body")]
    Bodiless(StatusCode),
}

/// Answers every request. It reads no body.
#[derive(Debug, Clone)]
pub struct Fixed {
    params: Params,
}

impl Fixed {
    /// Answers by `params`.
    ///
    /// # Errors
    ///
    /// When HTTP knows no such answer.
    pub fn new(params: Params) -> Result<Self, Error> {
        let status = params.status;
        if status.is_informational() {
            return Err(Error::Informational(status));
        }
        if [204, 205, 304].contains(&status.as_u16()) && !params.body.is_empty() {
            return Err(Error::Bodiless(status));
        }
        Ok(Self { params })
    }
}

impl Service<Request<Body>> for Fixed {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Ready<Result<Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::full(self.params.body.clone()));
        *response.status_mut() = self.params.status;
        if let Some(kind) = &self.params.content_type {
            response.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        if *request.method() == Method::HEAD && !self.params.body.is_empty() {
            withhold(&mut response);
        }
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn every_answer_is_the_same() {
        for (status, body, kind) in [
            (200, "{}", Some("application/json")),
            (503, "closed", Some("text/plain; charset=utf-8")),
            (204, "", None),
            (404, "", None),
        ] {
            let mut fixed = Fixed::new(Params {
                status: StatusCode::from_u16(status).unwrap(),
                body: Bytes::from_static(body.as_bytes()),
                content_type: kind.map(HeaderValue::from_static),
            })
            .unwrap();
            for _ in 0..2 {
                let response = fixed.call(Request::new(Body::empty())).await.unwrap();
                assert_eq!(response.status(), status);
                let told = response.headers().get(CONTENT_TYPE);
                assert_eq!(told, kind.map(HeaderValue::from_static).as_ref());
                let read = response.into_body().collect().await.unwrap();
                assert_eq!(read.to_bytes(), body);
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let made = |status: u16, body: &'static str| {
            let status = StatusCode::from_u16(status).unwrap();
            let body = Bytes::from_static(body.as_bytes());
            Fixed::new(Params {
                status,
                body,
                content_type: None,
            })
            .map(drop)
        };
        for status in [100, 101, 103] {
            assert!(matches!(made(status, ""), Err(Error::Informational(_))));
        }
        for status in [204, 205, 304] {
            assert!(matches!(made(status, "x"), Err(Error::Bodiless(_))));
            assert!(made(status, "").is_ok());
        }
    }
}
