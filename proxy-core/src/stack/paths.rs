//! Sends each request down the stack of the longest configured path that its own begins with.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Service;

use super::Seam;
use crate::body::Body;
use crate::fault::Fault;
use crate::plan::is_below;
use crate::telemetry::Exchange;

/// A stack for each path, and one for all others. Paths match by whole segments.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The longest first.
    paths: Arc<[(String, Seam)]>,
    rest: Seam,
}

impl Paths {
    pub(super) fn new(mut paths: Vec<(String, Seam)>, rest: Seam) -> Self {
        paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Self {
            paths: paths.into(),
            rest,
        }
    }
}

impl Service<Request<Body>> for Paths {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = <Seam as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let found = self.paths.iter().find(|(prefix, _)| is_below(path, prefix));
        let Some((prefix, seam)) = found else {
            return self.rest.clone().call(request);
        };
        if let Some(exchange) = request.extensions().get::<Exchange>() {
            exchange.explained(|told| told.path = Some(prefix.clone()));
        }
        seam.clone().call(request)
    }
}
