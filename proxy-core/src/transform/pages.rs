//! Puts pages in the place of the proxy's own failures.
//!
//! What an upstream answers is left alone, and so is what gRPC clients are told. A page keeps the status, and every
//! field but those of the body: who knows `Proxy-Status` still reads why.

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::body::{Body, withhold};
use crate::fault::Fault;
use crate::telemetry::Exchange;

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The page.
    pub body: Bytes,
    /// What it is.
    pub content_type: HeaderValue,
}

/// Which page is for which statuses. The first that fits is taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// The statuses, and the page.
    pub pages: Vec<(RangeInclusive<u16>, Page)>,
}

/// Wraps services in [`Pages`].
#[derive(Debug, Clone)]
pub struct PagesLayer {
    params: Arc<Params>,
}

impl PagesLayer {
    /// Shows the pages of `params`.
    pub fn new(params: Params) -> Self {
        Self {
            params: Arc::new(params),
        }
    }
}

impl<S> Layer<S> for PagesLayer {
    type Service = Pages<S>;

    fn layer(&self, inner: S) -> Pages<S> {
        Pages {
            inner,
            params: Arc::clone(&self.params),
        }
    }
}

/// The service of [`PagesLayer`].
#[derive(Debug, Clone)]
pub struct Pages<S> {
    inner: S,
    params: Arc<Params>,
}

impl<S> Service<Request<Body>> for Pages<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = PagesFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        PagesFuture {
            exchange: request.extensions().get::<Exchange>().cloned(),
            to_head: *request.method() == Method::HEAD,
            params: Arc::clone(&self.params),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The response of [`Pages`].
    pub struct PagesFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
        to_head: bool,
        params: Arc<Params>,
    }
}

impl<F> Future for PagesFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx)?);
        let is_own = this
            .exchange
            .as_ref()
            .is_some_and(|exchange| exchange.story(|story| story.fault.is_some()));
        if is_own && !is_grpc(&response) {
            this.params.show(&mut response, *this.to_head);
        }
        Poll::Ready(Ok(response))
    }
}

fn is_grpc(response: &Response<Body>) -> bool {
    response.headers().contains_key("grpc-status")
}

impl Params {
    fn show(&self, response: &mut Response<Body>, to_head: bool) {
        let status = response.status().as_u16();
        let found = self.pages.iter().find(|(range, _)| range.contains(&status));
        let Some((_, page)) = found else { return };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, page.content_type.clone());
        headers.insert(CONTENT_LENGTH, HeaderValue::from(page.body.len()));
        *response.body_mut() = Body::full(page.body.clone());
        if to_head {
            withhold(response);
        }
    }
}
