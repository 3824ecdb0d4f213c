//! Those who call: each asks for one host and one path, and knows who is to answer.
//!
//! A caller's requests are due at a steady rate, and their latency counts from then. It retries nothing and
//! forgives nothing: an answer other than 200, one of a service that is not to be asked, or one for another path, a
//! connection lost or a silence of [`PATIENCE`] is a failure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Empty};
use parking_lot::Mutex;
use proxy_cli::demo::Tally;
use proxy_cli::demo::certificates::trusting;
use proxy_cli::demo::connection::{Connection, Way};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};

/// A request without an answer for this long has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one request of a caller to the next.
const PACE: Duration = Duration::from_millis(20);

/// What makes one caller differ from another.
#[derive(Debug)]
pub(super) struct Kind {
    /// The name.
    pub(super) name: &'static str,
    /// The host that it asks for.
    pub(super) host: &'static str,
    /// The path that it asks for.
    pub(super) path: &'static str,
    /// The version of the shop that it wants; none for whichever there is.
    pub(super) version: Option<&'static str>,
    /// The version of HTTP that it speaks, as ALPN names it.
    pub(super) alpn: &'static str,
    /// Who may answer, and who has to have by the end.
    pub(super) answered_by: &'static [&'static str],
    /// The path that these are asked for.
    told: &'static str,
}

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "ann",
        host: "shop.demo",
        path: "/cart",
        version: None,
        alpn: "h2",
        answered_by: &["shop-1", "shop-2"],
        told: "/cart",
    },
    Kind {
        name: "bob",
        host: "shop.demo",
        path: "/api/users",
        version: None,
        alpn: "http/1.1",
        answered_by: &["api"],
        told: "/users",
    },
    Kind {
        name: "cleo",
        host: "shop.demo",
        path: "/cart",
        version: Some("next"),
        alpn: "http/1.1",
        answered_by: &["next"],
        told: "/cart",
    },
    Kind {
        name: "dan",
        host: "blog.demo",
        path: "/",
        version: None,
        alpn: "h2",
        answered_by: &["blog", "new-blog"],
        told: "/",
    },
];

/// One caller.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) kind: &'static Kind,
    way: Way,
    /// Who answered, and how often.
    answers: Mutex<BTreeMap<String, u64>>,
}

impl Caller {
    /// A caller of an ingress that listens at `target`, with certificates of this authority.
    pub(super) fn new(
        kind: &'static Kind,
        target: SocketAddr,
        authority: &CertificateDer<'static>,
    ) -> anyhow::Result<Self> {
        let mut tls = trusting(authority)?.with_no_client_auth();
        tls.alpn_protocols = vec![kind.alpn.as_bytes().to_vec()];
        let way = Way {
            target,
            host: kind.host,
            tls: Arc::new(tls),
        };
        Ok(Self {
            kind,
            way,
            answers: Mutex::default(),
        })
    }

    /// Calls until that is over.
    pub(super) async fn run(self: Arc<Self>, tally: Arc<Tally>, mut over: watch::Receiver<bool>) {
        // Ticks that were missed come at once: the rate holds.
        let mut ticks = interval(PACE);
        let mut kept = None;
        loop {
            let due: Instant = tokio::select! {
                due = ticks.tick() => due,
                _ = over.wait_for(|over| *over) => return,
            };
            let outcome = match timeout(PATIENCE, self.call(&mut kept)).await {
                Ok(answer) => answer.and_then(|answer| self.judge(&answer)),
                Err(_) => Err(anyhow!("no answer within {PATIENCE:?}")),
            };
            tally.record(due.elapsed(), outcome);
        }
    }

    /// Whether the right service has answered.
    fn judge(&self, answer: &str) -> anyhow::Result<()> {
        let (name, path) = answer
            .split_once(" answers ")
            .context("an answer of nobody's")?;
        let kind = self.kind;
        ensure!(
            kind.answered_by.contains(&name) && path == kind.told,
            "{} got `{answer}`",
            kind.name
        );
        let mut answers = self.answers.lock();
        *answers.entry(name.to_owned()).or_default() += 1;
        Ok(())
    }

    async fn call(&self, kept: &mut Option<Connection>) -> anyhow::Result<String> {
        let mut reused = kept.take();
        if let Some(connection) = &mut reused
            && !connection.is_ready().await
        {
            reused = None;
        }
        let mut connection = match reused {
            Some(reused) => reused,
            None => Connection::open(&self.way).await?,
        };
        let answer = connection
            .get(self.kind.path, |request| self.wish(request))
            .await?;
        let body = answer.into_body().collect().await;
        let body = body.context("the body was cut short")?.to_bytes();
        *kept = Some(connection);
        Ok(String::from_utf8_lossy(&body).trim_end().to_owned())
    }

    /// Says which version it wants.
    fn wish(&self, request: &mut Request<Empty<Bytes>>) {
        if let Some(version) = self.kind.version {
            let version = HeaderValue::from_static(version);
            request.headers_mut().insert("x-version", version);
        }
    }

    /// Who has answered, and how often.
    pub(super) fn answers(&self) -> BTreeMap<String, u64> {
        self.answers.lock().clone()
    }
}
