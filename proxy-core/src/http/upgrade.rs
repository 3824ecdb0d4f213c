//! Carries a protocol switch (WebSocket and others) through: after the upstream's 101, bytes flow both ways untouched.
//!
//! Nothing flows before the upstream has agreed. The tunnel counts as an active request of its
//! connection, so a drain waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::http1::Handover;
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
        let downstream = request.extensions_mut().remove::<Handover>();
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
        wanted: Option<((Handover, Arc<Connection>), Exchange)>,
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
        let upstream = response.extensions_mut().remove::<Handover>();
        let (Some(((downstream, connection), exchange)), Some(upstream)) =
            (this.wanted.take(), upstream)
        else {
            let detail = "the upstream switched protocols without being asked";
            return Poll::Ready(Err(Fault::maybe_seen(Reason::UpgradeFailed, detail)));
        };
        // What watches the upstream's answer watches the tunnel: until it is over, the endpoint and
        // its connection are taken.
        let answer = std::mem::take(response.body_mut());
        let tunnel = Tunnel {
            connection,
            exchange,
            answer,
            idle: *this.idle,
        };
        tokio::spawn(tunnel.join(downstream, upstream));
        Poll::Ready(Ok(response))
    }
}

/// What is held until a tunnel is over.
struct Tunnel {
    connection: Arc<Connection>,
    exchange: Exchange,
    answer: Body,
    idle: Option<Duration>,
}

impl Tunnel {
    async fn join(self, downstream: Handover, upstream: Handover) {
        let (Some(mut downstream), Some(mut upstream)) =
            futures_util::future::join(downstream.stream(), upstream.stream()).await
        else {
            tracing::debug!("the connection ended before the protocol was switched");
            return;
        };
        let watchdog = Watchdog::new(Arc::clone(&self.connection), self.idle, Duration::MAX);
        let carried = tunnel(&mut downstream, &mut upstream, watchdog).await;
        if carried.ended.is_err() {
            self.connection.reset_on_close();
        }
        let counters = self.exchange.counters();
        counters.received.fetch_add(carried.received, Relaxed);
        counters.sent.fetch_add(carried.sent, Relaxed);
        drop(self.answer);
    }
}
