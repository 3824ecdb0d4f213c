//! The tower service that tells the workload who called.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tower::{Layer, Service};

use super::Network;
use super::fields::tell;
use crate::body::Body;
use crate::telemetry::Exchange;

/// What is told, and who is believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Peers that may say who called them.
    pub trust: Vec<Network>,
    /// Whether `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are set.
    pub x_forwarded: bool,
    /// Whether `Forwarded` is set.
    pub forwarded: bool,
    /// Whether callers connect with TLS: the scheme that they used is then `https`.
    pub secure: bool,
}

/// Wraps services in [`Forward`].
#[derive(Debug, Clone)]
pub struct ForwardLayer {
    params: Option<Arc<Params>>,
}

impl ForwardLayer {
    /// Tells what `params` say; without them requests pass as they came.
    pub fn new(params: Option<Params>) -> Self {
        Self {
            params: params.map(Arc::new),
        }
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward {
            inner,
            params: self.params.clone(),
        }
    }
}

/// Tells who called before it passes a request on.
#[derive(Debug, Clone)]
pub struct Forward<S> {
    inner: S,
    params: Option<Arc<Params>>,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Forward<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        if let Some(params) = &self.params {
            let peer = request.extensions().get::<Exchange>();
            let peer = peer.and_then(Exchange::peer).map(|peer| peer.ip());
            tell(&mut request, peer, params);
        }
        self.inner.call(request)
    }
}
