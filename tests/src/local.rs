//! Upstreams on Unix sockets: HTTP of either version, bytes that are sent back, and one that accepts nobody.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::Body;
use crate::promise::EVENT;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its version.
    pub version: Version,
    /// Its path.
    pub path: String,
    /// What it calls the upstream.
    pub authority: String,
    /// Its header.
    pub headers: HeaderMap,
}

/// An upstream; dropping it ends it at once, and leaves the socket's file, to which nobody listens then.
#[derive(Debug)]
pub struct Local {
    heard: Arc<watch::Sender<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Local {
    /// Listens at `path` and answers requests of HTTP/1.1 and HTTP/2, upgrades included.
    ///
    /// # Panics
    ///
    /// When the path is taken or too long.
    pub fn http<F, R>(path: &Path, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let heard = Arc::new(watch::Sender::new(Vec::new()));
        let record = Arc::clone(&heard);
        let listener = listener(path);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (record, handler) = (Arc::clone(&record), handler.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    record.send_modify(|record| record.push(as_heard(&request)));
                    let answer = handler(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                serving.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let io = TokioIo::new(stream);
                    let _ = server.serve_connection_with_upgrades(io, service).await;
                });
            }
        });
        Self { heard, task }
    }

    /// Listens at `path` and sends back what comes.
    ///
    /// # Panics
    ///
    /// As [`Local::http`].
    pub fn echo(path: &Path) -> Self {
        let listener = listener(path);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                serving.spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        Self {
            heard: Arc::default(),
            task,
        }
    }

    /// The requests so far, once there are `count`.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn heard(&self, count: usize) -> Vec<Heard> {
        let mut changes = self.heard.subscribe();
        let enough = changes.wait_for(|heard| heard.len() >= count);
        match tokio::time::timeout(EVENT, enough).await {
            Ok(Ok(heard)) => heard.clone(),
            _ => panic!("{} of {count} requests", self.heard.borrow().len()),
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at `path`, with room for one connection that nobody accepts.
///
/// # Panics
///
/// When the path is taken or too long.
pub fn crowded(path: &Path) -> UnixListener {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(path).expect("a path of a socket");
    socket.bind(&address).expect("a path that is free");
    socket.listen(0).expect("it listens");
    socket.set_nonblocking(true).expect("it waits for nobody");
    UnixListener::from_std(socket.into()).expect("a runtime")
}

fn listener(path: &Path) -> UnixListener {
    UnixListener::bind(path).unwrap_or_else(|why| panic!("listening on {}: {why}", path.display()))
}

fn as_heard(request: &Request<Incoming>) -> Heard {
    let host = request.headers().get("host");
    let host = host.and_then(|host| host.to_str().ok()).map(str::to_owned);
    let authority = request.uri().authority().map(ToString::to_string);
    Heard {
        version: request.version(),
        path: request.uri().path().to_owned(),
        authority: authority.or(host).unwrap_or_default(),
        headers: request.headers().clone(),
    }
}
