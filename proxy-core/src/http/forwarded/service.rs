//! The tower service that tells the workload who called.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tower::{Layer, Service};

use super::Network;
use super::fields::{
    CLIENT_CERT, CLIENT_CERT_CHAIN, drop_fields, is_claim, is_client_cert, is_read_as, tell,
};
use crate::body::Body;
use crate::net::Secured;
use crate::telemetry::Exchange;
use crate::tls::{client_cert, client_cert_chain};

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
    client_cert: bool,
}

impl ForwardLayer {
    /// Tells what `params` say; without them requests pass as they came.
    pub fn new(params: Option<Params>) -> Self {
        Self {
            params: params.map(Arc::new),
            client_cert: false,
        }
    }

    /// Tells the certificate of a caller too, in `Client-Cert` and `Client-Cert-Chain` (RFC 9440), which
    /// no caller can write itself.
    pub fn with_client_cert(mut self, told: bool) -> Self {
        self.client_cert = told;
        self
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward {
            inner,
            params: self.params.clone(),
            client_cert: self.client_cert,
        }
    }
}

/// Tells who called before it passes a request on.
#[derive(Debug, Clone)]
pub struct Forward<S> {
    inner: S,
    params: Option<Arc<Params>>,
    client_cert: bool,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Forward<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        if self.client_cert && request.headers().keys().any(is_claim) {
            let exchange = request.extensions().get::<Exchange>();
            exchange
                .iter()
                .for_each(|exchange| exchange.note_passed_on());
        }
        if let Some(params) = &self.params {
            let peer = request.extensions().get::<Exchange>();
            let peer = peer.and_then(Exchange::peer).map(|peer| peer.ip());
            tell(&mut request, peer, params);
        }
        if self.client_cert {
            certify(&mut request);
        }
        self.inner.call(request)
    }
}

/// Puts the caller's certificate, and nothing that it wrote itself, into the fields for it.
fn certify(request: &mut Request<Body>) {
    let secured = request.extensions().get::<Arc<Secured>>().cloned();
    let secured = secured.as_deref();
    drop_fields(request.headers_mut(), |name| {
        is_read_as(name, is_client_cert)
    });
    let told = [
        (CLIENT_CERT, secured.and_then(client_cert)),
        (CLIENT_CERT_CHAIN, secured.and_then(client_cert_chain)),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            request.headers_mut().insert(name, value);
        }
    }
}
