//! What of a request's head is matched.

use http::header::HOST;
use http::{HeaderMap, Method, Request};

/// The parts of a request that a table looks at.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The authority, with or without a port; empty where there is none.
    pub authority: &'a str,
    /// The path as [`normalise`](super::normalise) leaves it.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    /// The head of `request`, whose path is to be normal. The authority is that of its target, or its `Host`
    /// (RFC 9112, 3.2.2): whoever lets the two differ must refuse such requests before.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        let host = || request.headers().get(HOST)?.to_str().ok();
        let target = request.uri().authority();
        Self {
            authority: target.map_or_else(|| host().unwrap_or_default(), |target| target.as_str()),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            method: request.method(),
            headers: request.headers(),
        }
    }
}
