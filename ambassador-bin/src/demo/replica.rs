//! One replica: an HTTP server that takes a few milliseconds, may fail some requests, and can be killed.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use super::table::State;

/// An answer takes between the first and the second, drawn anew for each.
const LATENCY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(6));

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// An address that a replica will listen on. Until then connections to it are refused.
#[derive(Debug)]
pub(super) struct Reserved {
    ip: Ipv4Addr,
    socket: TcpSocket,
}

impl Reserved {
    /// Takes the port of this address, so that nothing else can; port 0 is any free one.
    pub(super) fn bind(ip: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((ip, port)))?;
        Ok(Self { ip, socket })
    }

    /// The address.
    pub(super) fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// The port that was taken.
    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }
}

/// A replica that runs, or ran.
#[derive(Debug)]
pub(super) struct Replica {
    /// Its address; all replicas have the same port.
    pub(super) ip: Ipv4Addr,
    /// What it is said to do.
    pub(super) state: State,
    requests: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Replica {
    /// Starts to listen. It fails the share of its requests that `state` says.
    pub(super) fn start(reserved: Reserved, state: State, runtime: &Handle) -> io::Result<Self> {
        let _runtime = runtime.enter();
        let listener = reserved.socket.listen(BACKLOG)?;
        let requests = Arc::new(AtomicU64::new(0));
        let serving = serve(listener, state.failing(), Arc::clone(&requests));
        Ok(Self {
            ip: reserved.ip,
            state,
            requests,
            task: runtime.spawn(serving).abort_handle(),
        })
    }

    /// Requests that have reached it.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Ends it as `kill -9` would: it refuses connections, and those that are open are reset.
    pub(super) fn kill(&mut self) {
        self.task.abort();
        self.state = State::Killed;
    }
}

/// Serves until aborted; then the set of connections is dropped and every one of them with it.
async fn serve(listener: TcpListener, failing: f64, requests: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        connections.spawn(converse(stream, failing, Arc::clone(&requests)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, failing: f64, requests: Arc<AtomicU64>) {
    // Dropping the stream then resets the connection. Neither option matters to a connection that is already gone.
    let _ = stream.set_zero_linger();
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |_: Request<Incoming>| {
        requests.fetch_add(1, Relaxed);
        async move { Ok::<_, Infallible>(answer(failing).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // It ends when the ambassador closes it.
    let _ = connection.await;
}

async fn answer(failing: f64) -> Response<Full<Bytes>> {
    let (least, most) = LATENCY;
    tokio::time::sleep(least + (most - least).mul_f64(fastrand::f64())).await;
    let fails = fastrand::f64() < failing;
    let text = if fails { "no\n" } else { "yes\n" };
    let mut response = Response::new(Full::from(text));
    if fails {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
