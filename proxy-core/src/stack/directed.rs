//! Refuses requests for hosts whose rules for client certificates are not those of their connection.
//!
//! A connection is made for one name (SNI), and its requests may be for others. 421 sends the client to a connection
//! of its own (RFC 9110, 15.5.20).

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::HOST;
use http::{Request, Response};
use tower::Service;

use super::Seam;
use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::net::Secured;
use crate::route::canonical;
use crate::tls::Acceptor;

/// Goes on with requests that may come on their connection.
#[derive(Debug, Clone)]
pub struct Directed {
    acceptor: Arc<Acceptor>,
    inner: Seam,
}

impl Directed {
    /// Goes on with `inner`, by the rules of `acceptor`.
    pub fn new(acceptor: Arc<Acceptor>, inner: Seam) -> Self {
        Self { acceptor, inner }
    }
}

impl Service<Request<Body>> for Directed {
    type Response = Response<Body>;
    type Error = Fault;
    type Future =
        Either<<Seam as Service<Request<Body>>>::Future, Ready<Result<Response<Body>, Fault>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match is_misdirected(&self.acceptor, &request) {
            false => Either::Left(self.inner.call(request)),
            true => Either::Right(ready(Err(misdirected()))),
        }
    }
}

/// Whether the request's host has other rules than its connection.
pub(super) fn is_misdirected<B>(acceptor: &Acceptor, request: &Request<B>) -> bool {
    let Some(secured) = request.extensions().get::<Arc<Secured>>() else {
        // It came on a connection that was made before there was TLS.
        return true;
    };
    let field = || request.headers().get(HOST)?.to_str().ok();
    let authority = || match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => field().unwrap_or_default(),
    };
    !acceptor.permits(secured, || canonical(authority()))
}

/// What the client is told.
pub(super) fn misdirected() -> Fault {
    let detail = "the host has other rules for client certificates than the name that the connection was made for";
    Fault::unseen(Reason::Misdirected, detail)
}
