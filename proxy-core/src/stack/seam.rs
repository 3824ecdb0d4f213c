//! The boxed seam between two stacks, so that neither's type knows the other's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Service;

use super::Reused;
use crate::body::Body;
use crate::fault::Fault;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

/// A service behind a pointer. Clones share it; it must always be ready.
#[derive(Clone)]
pub struct Seam(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn send(&self, request: Request<Body>) -> Answer;
}

struct Inner<S>(Reused<S>);

impl<S> Erased for Inner<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault> + Clone + Send + Sync,
    S::Future: Send + 'static,
{
    fn send(&self, request: Request<Body>) -> Answer {
        Box::pin(self.0.send(request))
    }
}

impl Seam {
    /// Hides the type of `service`.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Fault>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Self(Arc::new(Inner(Reused::new(service))))
    }
}

impl Service<Request<Body>> for Seam {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        self.0.send(request)
    }
}

impl std::fmt::Debug for Seam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seam")
    }
}
