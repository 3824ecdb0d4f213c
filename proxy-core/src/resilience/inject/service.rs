//! The [`Inject`] service and its layer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use crate::body::Body;
use crate::fault::{Fault, Reason};

/// Which faults are made, and how often. Shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// A share of the requests waits for so long.
    pub delay: Option<(f64, Duration)>,
    /// A share of the requests is answered with this status, after its wait.
    pub abort: Option<(f64, StatusCode)>,
}

/// Wraps services in [`Inject`].
#[derive(Debug, Clone)]
pub struct InjectLayer {
    params: Params,
}

impl InjectLayer {
    /// Makes faults by `params`.
    pub fn new(params: Params) -> Self {
        Self { params }
    }
}

impl<S> Layer<S> for InjectLayer {
    type Service = Inject<S>;

    fn layer(&self, inner: S) -> Inject<S> {
        let params = self.params.clone();
        Inject { inner, params }
    }
}

/// Delays or answers a share of the requests.
#[derive(Debug, Clone)]
pub struct Inject<S> {
    inner: S,
    params: Params,
}

impl<S> Service<Request<Body>> for Inject<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let drawn = |share: f64| fastrand::f64() < share;
        let delay = self.params.delay.filter(|(share, _)| drawn(*share));
        let abort = self.params.abort.filter(|(share, _)| drawn(*share));
        let mut inner = self.inner.clone();
        Box::pin(async move {
            if let Some((_, pause)) = delay {
                tokio::time::sleep(pause).await;
            }
            let Some((_, status)) = abort else {
                std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
                return inner.call(request).await;
            };
            let detail = "answered by inject.abort without being sent";
            Err(Fault::unseen(Reason::Injected, detail).with_status(status))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use tower::service_fn;

    use super::*;

    fn injecting(
        params: Params,
    ) -> Inject<
        impl Service<Request<Body>, Response = Response<Body>, Error = Fault, Future: Send> + Clone,
    > {
        InjectLayer::new(params).layer(service_fn(|_: Request<Body>| async {
            Ok::<_, Fault>(Response::new(Body::empty()))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_delayed_and_a_share_is_answered() {
        let (pause, status) = (Duration::from_secs(1), StatusCode::TOO_MANY_REQUESTS);
        let mut service = injecting(Params {
            delay: Some((0.25, pause)),
            abort: Some((0.5, status)),
        });
        let (mut delayed, mut aborted) = (0, 0);
        for _ in 0..1000 {
            let begun = Instant::now();
            let result = service.call(Request::new(Body::empty())).await;
            delayed += u32::from(begun.elapsed() >= pause);
            if let Err(fault) = result {
                assert_eq!((fault.status(), fault.reason()), (status, Reason::Injected));
                aborted += 1;
            }
        }
        assert!((180..320).contains(&delayed), "{delayed}");
        assert!((420..580).contains(&aborted), "{aborted}");
    }
}
