//! The services: plain HTTP servers that answer with their name and the path that they were asked for.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proxy_cli::demo::Side;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(2);

/// The share of its requests that a failing instance fails.
pub(super) const FAILING: f64 = 0.2;

/// All of them, on a thread of their own.
#[derive(Debug)]
pub(super) struct Services {
    /// The shop's instances, of which the second fails now and then.
    pub(super) shop: [Service; 2],
    /// The shop's next version.
    pub(super) next: Service,
    /// The shop's API.
    pub(super) api: Service,
    /// The blog.
    pub(super) blog: Service,
    /// The blog's next version.
    pub(super) new_blog: Service,
    side: Side,
}

/// One instance that runs, or ran.
#[derive(Debug)]
pub(super) struct Service {
    address: SocketAddr,
    task: AbortHandle,
}

impl Services {
    /// Starts all of them.
    pub(super) fn start() -> io::Result<Self> {
        let side = Side::start("services")?;
        let start = |name, failing| Service::start(side.runtime(), name, failing);
        Ok(Self {
            shop: [start("shop-1", 0.0)?, start("shop-2", FAILING)?],
            next: start("next", 0.0)?,
            api: start("api", 0.0)?,
            blog: start("blog", 0.0)?,
            new_blog: start("new-blog", 0.0)?,
            side,
        })
    }

    /// Where tasks run that have no thread of their own.
    pub(super) fn runtime(&self) -> &Handle {
        self.side.runtime()
    }
}

impl Service {
    fn start(runtime: &Handle, name: &'static str, failing: f64) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let _runtime = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let task = runtime.spawn(serve(listener, name, failing)).abort_handle();
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it as `kill -9` would: it refuses connections, and those that are open are reset.
    pub(super) fn kill(&self) {
        self.task.abort();
    }
}

/// Serves until aborted; then the set of connections is dropped and every one of them with it.
async fn serve(listener: TcpListener, name: &'static str, failing: f64) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        connections.spawn(converse(stream, name, failing));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, name: &'static str, failing: f64) {
    // It matters to no connection that is gone already.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(&request, name, failing).await)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // It ends when the ingress closes it.
    let _ = connection.await;
}

async fn answer(
    request: &Request<Incoming>,
    name: &'static str,
    failing: f64,
) -> Response<Full<Bytes>> {
    tokio::time::sleep(LATENCY).await;
    let text = format!("{name} answers {}\n", request.uri().path());
    let mut response = Response::new(Full::from(text));
    if fastrand::f64() < failing {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
