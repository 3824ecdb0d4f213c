//! The workload: GET requests at a steady rate over kept-alive connections, whatever happened to the ones before.
//!
//! The loop is open: a request is due when its time has come, not when the one before it was
//! answered, and its latency counts from then. It retries nothing and forgives nothing: an answer
//! other than 200, a body cut short, a connection lost or a silence of [`PATIENCE`] is a failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use proxy_cli::demo::Tally;

/// Requests a second.
pub(super) const RATE: u32 = 300;

/// A request without an answer for this long has failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Calls `target` for `length`; returns when the last request has ended and every connection is closed.
pub(super) async fn run(target: SocketAddr, length: Duration, tally: Arc<Tally>) {
    let pool = Arc::new(Pool {
        target,
        idle: Mutex::default(),
    });
    let end = Instant::now() + length;
    let mut requests = JoinSet::new();
    // Ticks that were missed come at once: the rate holds.
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    loop {
        let due = ticks.tick().await;
        if due >= end {
            break;
        }
        let (pool, tally) = (Arc::clone(&pool), Arc::clone(&tally));
        requests.spawn(async move {
            let outcome = match timeout(PATIENCE, pool.call()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(anyhow::anyhow!("no answer within {PATIENCE:?}")),
            };
            tally.record(due.elapsed(), outcome);
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

type Connection = SendRequest<Empty<Bytes>>;

/// Connections to one address that wait for their next request.
struct Pool {
    target: SocketAddr,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    async fn call(&self) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let mut request = Request::new(Empty::new());
        let host = HeaderValue::from_str(&self.target.to_string())?;
        request.headers_mut().insert(HOST, host);
        let answer = connection.send_request(request).await;
        let (head, body) = answer.context("no answer")?.into_parts();
        body.collect().await.context("the body was cut short")?;
        if head.status != StatusCode::OK {
            let why = head.headers.get("proxy-status");
            let why = why.map_or("from a replica".into(), |why| {
                String::from_utf8_lossy(why.as_bytes())
            });
            bail!("status {}, {why}", head.status);
        }
        self.idle.lock().push(connection);
        Ok(())
    }

    async fn connection(&self) -> anyhow::Result<Connection> {
        while let Some(mut connection) = self.take_idle() {
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = TcpStream::connect(self.target)
            .await
            .context("no connection")?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().pop()
    }
}
