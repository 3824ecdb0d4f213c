//! The HTTP/2 connections to one endpoint, on one worker: shared by requests up to a number of streams each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::target::Target;
use super::turns::Turns;
use crate::body::{Body, End, Watch};
use crate::fault::{Fault, Reason};
use crate::net::{self, Failure};
use crate::tls::{self, Offer};

/// What an upstream may send of one stream before it is read.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What an upstream may send of all streams of a connection before it is read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// A connection with open streams that does not answer a ping within this time is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How often such a connection is pinged.
const PING_EVERY: Duration = Duration::from_secs(30);

/// The connections to one endpoint.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    open: Mutex<Vec<Arc<Connection>>>,
    turns: Turns,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Body>,
    opened: Instant,
    used: Mutex<Instant>,
    streams: AtomicUsize,
    /// Takes no further stream: it gave a request back.
    retired: AtomicBool,
    /// How the stream under it failed.
    failure: Failure,
}

/// The right to open one stream, until dropped.
#[derive(Debug)]
pub(super) struct Stream {
    connection: Arc<Connection>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.streams.fetch_sub(1, Relaxed);
        *self.connection.used.lock() = Instant::now();
    }
}

impl Watch for Stream {
    fn end(&mut self, _: End<'_>) {}
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            open: Mutex::default(),
            turns: Turns::default(),
        }
    }

    /// A stream on a connection with room, or on a new one. One connection is made at a time.
    pub(super) async fn take(&self) -> Result<Stream, Fault> {
        let attempt = || async {
            if self.open.lock().len() >= self.target.params.connections {
                let detail = format!("all streams to {} are taken", self.target.address());
                return Err(Fault::unseen(Reason::ConnectionLimitReached, detail));
            }
            let stream = self.target.connect(Offer::Http2, None).await?;
            let connection = Arc::new(self.shake(stream).await?);
            connection.streams.fetch_add(1, Relaxed);
            self.open.lock().push(Arc::clone(&connection));
            Ok(Stream { connection })
        };
        self.turns.take(|| self.claim(), attempt).await
    }

    /// Takes over a connection on which nothing was said yet.
    pub(super) async fn adopt(&self, stream: net::Stream) -> Result<(), Fault> {
        let connection = Arc::new(self.shake(stream).await?);
        self.open.lock().push(connection);
        Ok(())
    }

    /// Whether there is no connection.
    pub(super) fn is_unused(&self) -> bool {
        self.open.lock().is_empty()
    }

    /// Forgets connections that are closed, too old, or idle for too long; streams on them go on.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let idle = self.target.params.idle;
        self.open.lock().retain(|connection| {
            let is_idle =
                connection.streams.load(Relaxed) == 0 && now - *connection.used.lock() >= idle;
            !is_idle && self.is_usable(connection, now)
        });
    }

    fn claim(&self) -> Option<Stream> {
        let now = Instant::now();
        let mut open = self.open.lock();
        open.retain(|connection| self.is_usable(connection, now));
        let room = |connection: &&Arc<Connection>| {
            connection.streams.load(Relaxed) < self.target.params.streams
        };
        let connection = open.iter().find(room).cloned()?;
        connection.streams.fetch_add(1, Relaxed);
        Some(Stream { connection })
    }

    fn is_usable(&self, connection: &Connection, now: Instant) -> bool {
        !connection.sender.is_closed()
            && !connection.retired.load(Relaxed)
            && self
                .target
                .params
                .age
                .is_none_or(|age| now - connection.opened < age)
    }

    async fn shake(&self, stream: net::Stream) -> Result<Connection, Fault> {
        let failure = Failure::default();
        let stream = stream.telling(Arc::clone(&failure));
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(self.target.params.max_headers as u32)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| super::error::unsent(self.target.address(), error))?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        let now = Instant::now();
        Ok(Connection {
            sender,
            opened: now,
            used: Mutex::new(now),
            streams: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            failure,
        })
    }
}

impl Stream {
    /// Keeps further requests off this connection.
    pub(super) fn retire(&self) {
        self.connection.retired.store(true, Relaxed);
    }

    /// The TLS alert that ended the connection, if one did.
    pub(super) fn alert(&self) -> Option<String> {
        self.connection.failure.get().and_then(tls::alert)
    }

    /// Sends the request. An error that still holds the request means that nothing of it was sent.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Body>>> {
        self.connection
            .sender
            .clone()
            .try_send_request(request)
            .await
    }
}
