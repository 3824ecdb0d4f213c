//! The workload: a plain HTTP server that speaks no TLS, and answers with what it was told of who calls.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use super::identities::Identities;
use super::script::SLOW;

/// What its health check asks for.
pub(super) const HEALTH: &str = "/healthz";

/// What takes as long as [`SLOW`].
pub(super) const REPORT: &str = "/report";

/// How long any other answer takes.
const LATENCY: Duration = Duration::from_millis(2);

/// A workload that runs; it ends with its runtime.
#[derive(Debug)]
pub(super) struct Workload {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    is_well: AtomicBool,
    identities: Arc<Identities>,
}

impl Workload {
    /// Starts on an ephemeral port of the loopback address, and is well.
    pub(super) fn start(runtime: &Handle, identities: Arc<Identities>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let _runtime = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared {
            is_well: AtomicBool::new(true),
            identities,
        });
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes its health check from now on, or fails it.
    pub(super) fn be_well(&self, is_well: bool) {
        self.shared.is_well.store(is_well, Relaxed);
    }

    /// What its health check would say.
    pub(super) fn is_well(&self) -> bool {
        self.shared.is_well.load(Relaxed)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::spawn(converse(stream, Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // It matters to no connection that is gone already.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(&request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // It ends when the sidecar closes it.
    let _ = connection.await;
}

impl Shared {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            HEALTH => {
                let mut response = Response::new(Full::default());
                if !self.is_well.load(Relaxed) {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                return response;
            }
            REPORT => tokio::time::sleep(SLOW).await,
            _ => tokio::time::sleep(LATENCY).await,
        }
        let told = self.told(request.headers());
        Response::new(Full::from(format!("{told}\n")))
    }

    /// Who calls, from where, how, and whom: as the sidecar says.
    fn told(&self, fields: &HeaderMap) -> String {
        let field = |name: &str| {
            let value = fields.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("-")
        };
        let certificate = fields.get("client-cert");
        let certificate = certificate.and_then(|value| value.to_str().ok());
        let who = match certificate {
            None => "nobody",
            Some(told) => self.identities.named(told).unwrap_or("a liar"),
        };
        let from = field("x-forwarded-for");
        let (scheme, host) = (field("x-forwarded-proto"), field("x-forwarded-host"));
        format!("{who} from {from} by {scheme} to {host}")
    }
}
