//! Carries a protocol switch (WebSocket and others) through: after the upstream's 101, bytes flow both ways untouched.
//!
//! Nothing flows before the upstream has agreed. The tunnel counts as an active request of its
//! connection, so a drain waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::net::{Connection, Watchdog, tunnel};
use crate::telemetry::Exchange;

/// Wraps services in [`Upgrade`].
#[derive(Debug, Clone)]
pub struct UpgradeLayer {
    idle: Option<Duration>,
}

impl UpgradeLayer {
    /// A tunnel on which nothing moves for `idle` ends; none: it lasts as long as both ends want.
    pub fn new(idle: Option<Duration>) -> Self {
        Self { idle }
    }
}

impl<S> Layer<S> for UpgradeLayer {
    type Service = Upgrade<S>;

    fn layer(&self, inner: S) -> Upgrade<S> {
        Upgrade {
            inner,
            idle: self.idle,
        }
    }
}

/// Joins both sides of a connection that switches protocols.
#[derive(Debug, Clone)]
pub struct Upgrade<S> {
    inner: S,
    idle: Option<Duration>,
}

impl<S> Service<Request<Body>> for Upgrade<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = UpgradeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // Present only on a request that asks for a switch: hygiene removed it from all others.
        let downstream = request.extensions_mut().remove::<OnUpgrade>();
        let connection = request.extensions_mut().remove::<Arc<Connection>>();
        let exchange = request.extensions().get::<Exchange>().cloned();
        let wanted = downstream.zip(connection).zip(exchange);
        UpgradeFuture {
            inner: self.inner.call(request),
            wanted,
            idle: self.idle,
        }
    }
}

pin_project! {
    /// The response of [`Upgrade`].
    pub struct UpgradeFuture<F> {
        #[pin]
        inner: F,
        wanted: Option<((OnUpgrade, Arc<Connection>), Exchange)>,
        idle: Option<Duration>,
    }
}

impl<F> Future for UpgradeFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Poll::Ready(Ok(response));
        }
        let upstream = response.extensions_mut().remove::<OnUpgrade>();
        let (Some(((downstream, connection), exchange)), Some(upstream)) =
            (this.wanted.take(), upstream)
        else {
            let detail = "the upstream switched protocols without being asked";
            return Poll::Ready(Err(Fault::maybe_seen(Reason::UpgradeFailed, detail)));
        };
        tokio::spawn(join(downstream, upstream, connection, exchange, *this.idle));
        Poll::Ready(Ok(response))
    }
}

/// `exchange` is held until the tunnel is over, so that its connection counts as busy.
async fn join(
    downstream: OnUpgrade,
    upstream: OnUpgrade,
    connection: Arc<Connection>,
    exchange: Exchange,
    idle: Option<Duration>,
) {
    let (downstream, upstream) = match futures_util::future::try_join(downstream, upstream).await {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "the connection ended before the protocol was switched");
            return;
        }
    };
    let watchdog = Watchdog::new(Arc::clone(&connection), idle, Duration::MAX);
    let (mut downstream, mut upstream) = (TokioIo::new(downstream), TokioIo::new(upstream));
    if tunnel(&mut downstream, &mut upstream, watchdog)
        .await
        .is_err()
    {
        connection.reset_on_close();
    }
    drop(exchange);
}
