//! HTTP upstreams in this process, over HTTP/1.1 or HTTP/2 as the peer chooses.
//!
//! An origin records each request it gets, can be stopped as a well-behaved server stops, killed as
//! a dying one does, and started again on the same port.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{Body, full};
use crate::promise::EVENT;
use crate::scripted::{address_of, ephemeral, hold, listen};

/// The answer that a handler promises.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What accepts TLS connections; it can be replaced while they are served.
pub type Acceptor = Arc<watch::Sender<Option<Arc<rustls::ServerConfig>>>>;

type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// A request as the origin got it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When its head had been read.
    pub at: Instant,
    /// Which connection of the origin it came on, counted from 0.
    pub connection: usize,
    /// Its method.
    pub method: Method,
    /// Its target.
    pub uri: Uri,
    /// Its version.
    pub version: Version,
    /// Its header.
    pub headers: HeaderMap,
}

/// An upstream; dropping it kills it.
pub struct Origin {
    address: SocketAddr,
    handler: Handler,
    record: Arc<watch::Sender<Vec<Recorded>>>,
    connections: Arc<AtomicUsize>,
    tls: Acceptor,
    running: Option<Running>,
    /// The port stays ours also while nobody listens on it.
    _held: Socket,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Origin {
    /// Starts on an ephemeral port.
    pub fn start<F, R>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::serve(hold(ephemeral()).expect("a free port"), handler)
    }

    /// Starts on an ephemeral port and speaks TLS.
    pub fn secured<F, R>(tls: Arc<rustls::ServerConfig>, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let origin = Self::start(handler);
        origin.present(tls);
        origin
    }

    /// Speaks TLS like this on connections from now on.
    pub fn present(&self, tls: Arc<rustls::ServerConfig>) {
        self.tls.send_replace(Some(tls));
    }

    /// Starts on the first `count` of the addresses 127.0.0.2, 127.0.0.3 and so on, all with the
    /// same port, as the replicas behind one DNS name are. `handler` makes each replica's handler; a
    /// request's extensions hold the `SocketAddr` of the replica that got it.
    ///
    /// # Panics
    ///
    /// When no port is free on all of them.
    pub fn replicas<F, R>(count: u8, handler: F) -> Vec<Self>
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        for _ in 0..100 {
            let first = hold(([127, 0, 0, 2], 0).into()).expect("a free port");
            let port = address_of(&first).port();
            let others = (3..count + 2).map(|last| hold(([127, 0, 0, last], port).into()));
            if let Ok(others) = others.collect::<Result<Vec<_>, _>>() {
                let all = std::iter::once(first).chain(others);
                return all.map(|held| Self::serve(held, handler.clone())).collect();
            }
        }
        panic!("no port is free on {count} loopback addresses");
    }

    fn serve<F, R>(held: Socket, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let address = address_of(&held);
        let mut origin = Self {
            address,
            handler: Arc::new(move |mut request| {
                request.extensions_mut().insert(address);
                Box::pin(handler(request))
            }),
            record: Arc::new(watch::Sender::new(Vec::new())),
            connections: Arc::new(AtomicUsize::new(0)),
            tls: Arc::new(watch::Sender::new(None)),
            running: None,
            _held: held,
        };
        origin.restart();
        origin
    }

    /// Starts again, on the same port, after [`Origin::stop`] or [`Origin::kill`].
    pub fn restart(&mut self) {
        self.run(listen(self.address));
    }

    /// Stops as a well-behaved server does: no new connection, idle ones closed, requests in flight
    /// answered.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.send_replace(true);
            let _ = tokio::time::timeout(EVENT, running.task).await;
        }
    }

    /// Ends at once, in the middle of whatever it does.
    pub async fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.task.abort();
            let _ = running.task.await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.record.borrow().clone()
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        self.record.borrow().len()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until there were `count` requests and returns them all.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn received(&self, count: usize) -> Vec<Recorded> {
        let mut changes = self.record.subscribe();
        let enough = changes.wait_for(|record| record.len() >= count);
        match tokio::time::timeout(EVENT, enough).await {
            Ok(Ok(record)) => record.clone(),
            _ => panic!("{} got {} of {count} requests", self.address, self.count()),
        }
    }

    fn run(&mut self, listener: TcpListener) {
        let (stop, stopping) = watch::channel(false);
        let handler = Arc::clone(&self.handler);
        let record = Arc::clone(&self.record);
        let connections = Arc::clone(&self.connections);
        let tls = Arc::clone(&self.tls);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            let mut stopped = stopping.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopped.wait_for(|stop| *stop) => break,
                };
                let Ok((stream, _)) = accepted else { break };
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (handler, record) = (Arc::clone(&handler), Arc::clone(&record));
                let (tls, stopping) = (tls.borrow().clone(), stopping.clone());
                let _ = stream.set_nodelay(true);
                serving.spawn(async move {
                    let Some(tls) = tls else {
                        return connection(stream, number, handler, record, stopping).await;
                    };
                    if let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                        connection(stream, number, handler, record, stopping).await;
                    }
                });
            }
            drop(listener);
            while serving.join_next().await.is_some() {}
        });
        self.running = Some(Running { stop, task });
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Origin")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.task.abort();
        }
    }
}

async fn connection<T>(
    stream: T,
    number: usize,
    handler: Handler,
    record: Arc<watch::Sender<Vec<Recorded>>>,
    mut stopping: watch::Receiver<bool>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let recorded = Recorded {
            at: Instant::now(),
            connection: number,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        };
        record.send_modify(|record| record.push(recorded));
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let mut serving =
        std::pin::pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// An answer with this status and a body that says so.
pub fn status(status: u16) -> Response<Body> {
    let mut response = Response::new(full(format!("{status}\n")));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// An answer `200` with this body.
pub fn ok(body: impl Into<bytes::Bytes>) -> Response<Body> {
    Response::new(full(body))
}

/// An answer `200` after a while: the time a request is in flight.
pub async fn slow(time: Duration) -> Response<Body> {
    tokio::time::sleep(time).await;
    ok("slow\n")
}

/// An answer that sends the request's body back, trailers included, as it comes.
pub fn echo(request: Request<Incoming>) -> Response<Body> {
    Response::new(request.into_body().map_err(Into::into).boxed())
}

/// Never answers.
pub async fn hang() -> Response<Body> {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::{Origin, echo, ok};
    use crate::client::{Connection, Protocol, get, once, post};
    use crate::promise::promise;

    #[test]
    fn both_protocols_are_answered_and_recorded() {
        promise(async {
            let origin = Origin::start(|request| async { echo(request) });
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let mut connection = Connection::open(origin.address(), protocol)
                    .await
                    .expect("a connection");
                for _ in 0..2 {
                    let reply = connection.fetch(post("/x", "hi")).await.expect("an answer");
                    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "hi"));
                }
            }
            let requests = origin.received(4).await;
            assert_eq!(requests[3].connection, 1);
            assert_eq!(requests[3].uri.path(), "/x");
        });
    }

    #[test]
    fn an_origin_comes_back_on_its_port() {
        promise(async {
            let mut origin = Origin::start(|_| async { ok("up") });
            let address = origin.address();
            let mut idle = Connection::open(address, Protocol::Http1)
                .await
                .expect("open");
            idle.fetch(get("/")).await.expect("an answer");
            origin.stop().await;
            idle.closed().await;
            once(address, get("/")).await.expect_err("stopped");
            origin.restart();
            once(address, get("/")).await.expect("started");
            origin.kill().await;
            once(address, get("/")).await.expect_err("killed");
        });
    }

    #[test]
    fn replicas_share_a_port() {
        promise(async {
            let origins = Origin::replicas(3, |_| async { ok("one of three") });
            assert_eq!(origins.len(), 3);
            for origin in &origins {
                assert_eq!(origin.address().port(), origins[0].address().port());
                once(origin.address(), get("/")).await.expect("an answer");
                assert_eq!(origin.count(), 1);
            }
        });
    }
}
