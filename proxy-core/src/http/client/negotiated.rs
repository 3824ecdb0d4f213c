//! The connections to an endpoint that chooses the version of HTTP in the TLS handshake (RFC 7301).
//!
//! The first connection offers both versions; what the endpoint chooses is offered from then on.
//! When there is no connection left, that is forgotten: the endpoint may have been replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::target::Target;
use super::turns::Turns;
use super::{h1, h2};
use crate::fault::Fault;

const UNKNOWN: u8 = 0;
const HTTP1: u8 = 1;
const HTTP2: u8 = 2;

/// Both pools, of which one is used at a time.
#[derive(Debug)]
pub(super) struct Negotiated {
    target: Target,
    http1: Arc<h1::Pool>,
    http2: Arc<h2::Pool>,
    chosen: AtomicU8,
    turns: Turns,
}

/// The pool of the version that is spoken.
pub(super) enum Spoken {
    Http1(Arc<h1::Pool>),
    Http2(Arc<h2::Pool>),
}

impl Negotiated {
    pub(super) fn new(target: Target) -> Self {
        Self {
            http1: Arc::new(h1::Pool::new(target.clone())),
            http2: Arc::new(h2::Pool::new(target.clone())),
            target,
            chosen: AtomicU8::new(UNKNOWN),
            turns: Turns::default(),
        }
    }

    /// What the endpoint chose, if that is known.
    pub(super) fn known(&self) -> Option<Spoken> {
        match self.chosen.load(Relaxed) {
            HTTP1 => Some(Spoken::Http1(Arc::clone(&self.http1))),
            HTTP2 => Some(Spoken::Http2(Arc::clone(&self.http2))),
            _ => None,
        }
    }

    /// Makes a connection to find out, and keeps it.
    pub(super) async fn learn(&self) -> Result<Spoken, Fault> {
        let attempt = || async {
            let (stream, is_http2) = self.target.negotiate().await?;
            if is_http2 {
                self.http2.adopt(stream).await?;
                self.chosen.store(HTTP2, Relaxed);
                return Ok(Spoken::Http2(Arc::clone(&self.http2)));
            }
            self.http1.adopt(stream);
            self.chosen.store(HTTP1, Relaxed);
            Ok(Spoken::Http1(Arc::clone(&self.http1)))
        };
        self.turns.take(|| self.known(), attempt).await
    }

    /// Tidies both pools.
    pub(super) fn sweep(&self) {
        self.http1.sweep();
        self.http2.sweep();
        if self.http1.is_unused() && self.http2.is_unused() {
            self.chosen.store(UNKNOWN, Relaxed);
        }
    }
}
