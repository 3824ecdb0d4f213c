//! The [`Mirror`] service and its layer.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{EXPECT, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tower::{Layer, Service};

use super::tee::{Backlog, Cut, tee};
use crate::body::Body;
use crate::telemetry::Exchange;

/// What tells a copy from a request.
const MIRRORED: HeaderName = HeaderName::from_static("x-remora-mirrored");

/// How long the body of an answer is read: a stream without an end must not last for ever.
const ANSWER: Duration = Duration::from_secs(300);

/// Which requests are copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// The share of them, from 0 to 1.
    pub share: f64,
}

/// Wraps services in [`Mirror`].
#[derive(Debug, Clone)]
pub struct MirrorLayer<M> {
    params: Params,
    mirror: M,
    backlog: Arc<Backlog>,
}

impl<M> MirrorLayer<M> {
    /// Sends copies to `mirror`, which together hold what `backlog` allows of bodies.
    pub fn new(params: Params, mirror: M, backlog: Arc<Backlog>) -> Self {
        Self {
            params,
            mirror,
            backlog,
        }
    }
}

impl<S, M: Clone> Layer<S> for MirrorLayer<M> {
    type Service = Mirror<S, M>;

    fn layer(&self, inner: S) -> Mirror<S, M> {
        Mirror {
            inner,
            layer: self.clone(),
        }
    }
}

/// Sends a request on, and a copy of it elsewhere, as [the module](super) says.
#[derive(Debug, Clone)]
pub struct Mirror<S, M> {
    inner: S,
    layer: MirrorLayer<M>,
}

impl<S, M> Service<Request<Body>> for Mirror<S, M>
where
    S: Service<Request<Body>>,
    M: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    M::Future: Send,
    M::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        let MirrorLayer {
            params,
            mirror,
            backlog,
        } = &self.layer;
        if is_copied(request.headers())
            && fastrand::f64() < params.share
            && let Ok(runtime) = Handle::try_current()
        {
            let (copy, cut) = copy(&mut request, backlog);
            runtime.spawn(deliver(mirror.clone(), copy, cut));
        }
        self.inner.call(request)
    }
}

/// Whether a request with these fields is one that is copied, where there is a mirror: it is neither an
/// upgrade nor a copy itself.
pub fn is_copied(headers: &HeaderMap) -> bool {
    !headers.contains_key(UPGRADE) && !headers.contains_key(MIRRORED)
}

/// The copy of a request, whose body it shares from now on, and word of that body being cut.
fn copy(request: &mut Request<Body>, backlog: &Arc<Backlog>) -> (Request<Body>, Option<Cut>) {
    let mut copy = Request::new(Body::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.headers_mut().remove(EXPECT);
    let one = HeaderValue::from_static("1");
    copy.headers_mut().insert(MIRRORED, one);
    copy.extensions_mut().clone_from(request.extensions());
    copy.extensions_mut().remove::<Exchange>();
    if request.body().is_end_stream() {
        return (copy, None);
    }
    let teed = tee(std::mem::take(request.body_mut()), backlog);
    *request.body_mut() = teed.body;
    *copy.body_mut() = teed.copy;
    (copy, Some(teed.cut))
}

/// Sends a copy and reads its answer; ends as soon as its body is cut, whatever it waits for.
async fn deliver<M>(mirror: M, copy: Request<Body>, cut: Option<Cut>)
where
    M: Service<Request<Body>, Response = Response<Body>>,
{
    let delivery = send(mirror, copy);
    match cut {
        None => delivery.await,
        Some(cut) => tokio::select! {
            biased;
            () = cut.happens() => {}
            () = delivery => {}
        },
    }
}

async fn send<M>(mut mirror: M, copy: Request<Body>)
where
    M: Service<Request<Body>, Response = Response<Body>>,
{
    let ready = std::future::poll_fn(|cx| mirror.poll_ready(cx)).await;
    if ready.is_err() {
        return;
    }
    let Ok(answer) = mirror.call(copy).await else {
        return;
    };
    let mut body = answer.into_body();
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(ANSWER, rest).await;
}
