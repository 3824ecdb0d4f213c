//! Those who call: with a certificate, without one but with lies, and a stranger who is not to be let in.
//!
//! A caller's requests are due at a steady rate, and their latency counts from then. It retries nothing and
//! forgives nothing: an answer other than 200, one that shows that the workload was told anything but the
//! truth, a connection lost or a silence of [`PATIENCE`] is a failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Empty};
use parking_lot::Mutex;
use proxy_cli::demo::Tally;
use proxy_cli::demo::connection::{Connection, Way, is_unsent};
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};

use super::identities::Identities;
use super::workload::REPORT;

/// A request without an answer for this long has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests on one connection; then the next one is made, whose handshake resumes the session.
const EACH: u32 = 25;

/// What somebody claims who has no certificate, and calls from somewhere else (an address of RFC 5737).
const MADE_UP: &str = "203.0.113.7";

/// What makes one caller differ from another.
#[derive(Debug)]
pub(super) struct Kind {
    /// The name.
    pub(super) name: &'static str,
    /// Whose certificate it shows.
    pub(super) certificate: &'static str,
    /// The host that it asks for.
    pub(super) host: &'static str,
    /// The version of HTTP that it speaks, as ALPN names it.
    pub(super) alpn: &'static str,
    /// Who it is to the workload; none for who is not let in.
    told: Option<&'static str>,
    /// From one request to the next.
    pace: Duration,
}

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "ann",
        certificate: "the demo's",
        host: "shop.demo",
        alpn: "h2",
        told: Some("ann"),
        pace: Duration::from_millis(20),
    },
    Kind {
        name: "bob",
        certificate: "the demo's",
        host: "admin.demo",
        alpn: "http/1.1",
        told: Some("bob"),
        pace: Duration::from_millis(20),
    },
    Kind {
        name: "guest",
        certificate: "none",
        host: "shop.demo",
        alpn: "http/1.1",
        told: Some("nobody"),
        pace: Duration::from_millis(20),
    },
    Kind {
        name: "mallory",
        certificate: "another's",
        host: "admin.demo",
        alpn: "h2",
        told: None,
        pace: Duration::from_millis(250),
    },
];

/// One caller.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) kind: &'static Kind,
    way: Way,
    /// The certificate that it claims to have, though it has none.
    claimed: Option<HeaderValue>,
    counts: Counts,
    /// The latest answer.
    answer: Mutex<String>,
}

/// What has become of a caller's calls.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
    resumed: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Requests that have ended, well or not.
    pub(super) requests: u64,
    /// Connections that the sidecar refused.
    pub(super) refused: u64,
    /// Connections that were made.
    pub(super) connections: u64,
    /// Those whose handshake took up the session of an earlier one.
    pub(super) resumed: u64,
}

impl Caller {
    /// A caller of a sidecar that listens at `target`.
    pub(super) fn new(
        kind: &'static Kind,
        target: SocketAddr,
        identities: &Identities,
    ) -> anyhow::Result<Self> {
        let way = Way {
            target,
            host: kind.host,
            tls: identities.caller(kind.name, kind.alpn)?,
        };
        let lies = kind.certificate == "none";
        let claimed = lies.then(|| HeaderValue::from_str(identities.told("ann")));
        Ok(Self {
            kind,
            way,
            claimed: claimed.transpose()?,
            counts: Counts::default(),
            answer: Mutex::default(),
        })
    }

    /// Calls until that is over.
    pub(super) async fn run(self: Arc<Self>, tally: Arc<Tally>, mut over: watch::Receiver<bool>) {
        // Ticks that were missed come at once: the rate holds.
        let mut ticks = interval(self.kind.pace);
        let mut kept = None;
        loop {
            let due = tokio::select! {
                due = ticks.tick() => due,
                _ = over.wait_for(|over| *over) => return,
            };
            let called = match timeout(PATIENCE, self.call(&mut kept)).await {
                Ok(called) => called,
                Err(_) => Err(anyhow!("no answer within {PATIENCE:?}")),
            };
            self.note(due, called, &tally);
        }
    }

    fn note(&self, due: Instant, called: anyhow::Result<String>, tally: &Tally) {
        let outcome = match (self.kind.told, called) {
            (None, Err(_)) => {
                self.counts.refused.fetch_add(1, Relaxed);
                return;
            }
            (None, Ok(_)) => Err(anyhow!("a stranger was let in")),
            (Some(_), Err(why)) => Err(why),
            (Some(told), Ok(answer)) => self.judge(told, answer),
        };
        self.counts.requests.fetch_add(1, Relaxed);
        tally.record(due.elapsed(), outcome);
    }

    /// Whether the workload was told the truth.
    fn judge(&self, told: &str, answer: String) -> anyhow::Result<()> {
        let truth = format!("{told} from 127.0.0.1 by https to {}", self.kind.host);
        ensure!(answer == truth, "the workload was told `{answer}`");
        *self.answer.lock() = answer;
        Ok(())
    }

    async fn call(&self, kept: &mut Option<(Connection, u32)>) -> anyhow::Result<String> {
        if let Some((mut connection, left)) = kept.take().filter(|(_, left)| *left > 0)
            && connection.is_ready().await
        {
            match self.get(&mut connection, "/").await {
                // It was closed in that moment, and nobody has seen the request.
                Err(error) if is_unsent(&error) => {}
                answer => {
                    *kept = Some((connection, left - 1));
                    return answer;
                }
            }
        }
        let mut connection = self.connect().await?;
        let text = self.get(&mut connection, "/").await?;
        *kept = Some((connection, EACH - 1));
        Ok(text)
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let connection = Connection::open(&self.way).await?;
        // With TLS 1.3 who is not let in hears of it only after a handshake that was over for them.
        if self.is_welcome() {
            self.counts.connections.fetch_add(1, Relaxed);
            let resumed = u64::from(connection.is_resumed);
            self.counts.resumed.fetch_add(resumed, Relaxed);
        }
        Ok(connection)
    }

    async fn get(&self, connection: &mut Connection, path: &str) -> anyhow::Result<String> {
        let answer = connection.get(path, |request| self.lie(request)).await?;
        let body = answer.into_body().collect().await;
        let body = body.context("the body was cut short")?.to_bytes();
        Ok(String::from_utf8_lossy(&body).trim_end().to_owned())
    }

    /// Makes up fields, where it has nothing better.
    fn lie(&self, request: &mut Request<Empty<Bytes>>) {
        if let Some(claimed) = &self.claimed {
            let fields = request.headers_mut();
            fields.insert("client-cert", claimed.clone());
            let elsewhere = HeaderValue::from_static(MADE_UP);
            fields.insert("x-forwarded-for", elsewhere);
        }
    }

    /// Asks for what takes long, on a connection of its own.
    pub(super) async fn report(self: Arc<Self>) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.way).await?;
        self.get(&mut connection, REPORT).await.map(drop)
    }

    /// What has become of its calls so far.
    pub(super) fn sum(&self) -> Sum {
        let counts = &self.counts;
        Sum {
            requests: counts.requests.load(Relaxed),
            refused: counts.refused.load(Relaxed),
            connections: counts.connections.load(Relaxed),
            resumed: counts.resumed.load(Relaxed),
        }
    }

    /// Who it is to the workload, and from where, as the latest answer says.
    pub(super) fn told(&self) -> String {
        let answer = self.answer.lock();
        let who = answer.split(" by ").next().unwrap_or_default();
        match who {
            "" => "nothing".to_owned(),
            who => who.to_owned(),
        }
    }

    /// Whether it is to be let in.
    pub(super) fn is_welcome(&self) -> bool {
        self.kind.told.is_some()
    }
}
