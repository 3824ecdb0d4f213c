//! One try as its endpoint sees it: in flight, then answered well, badly or not at all.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, Response};
use tokio::time::Instant;

use super::{Endpoint, EndpointSet, Outcome};
use crate::body::{Body, End, Watch};
use crate::fault::{Class, Fault, Reason, Side};
use crate::telemetry::{Exchange, Tried};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The gRPC statuses of a service that is broken rather than asked for something wrong: UNKNOWN,
/// DEADLINE_EXCEEDED, INTERNAL and UNAVAILABLE, which Envoy's outlier detection counts as 5xx too.
const GRPC_FAILURES: [&[u8]; 4] = [b"2", b"4", b"13", b"14"];

pub(super) fn outcome_of_head(response: &Response<Body>) -> Outcome {
    if response.status().is_server_error() || is_grpc_failure(response.headers()) {
        Outcome::Failure
    } else {
        Outcome::Success
    }
}

fn is_grpc_failure(headers: &HeaderMap) -> bool {
    headers
        .get(GRPC_STATUS)
        .is_some_and(|status| GRPC_FAILURES.contains(&status.as_bytes()))
}

/// What a fault says of the endpoint that it was met on.
pub fn outcome_of_fault(fault: &Fault) -> Outcome {
    if fault.is_stale() || fault.reason().side() != Side::Upstream {
        return Outcome::Unknown;
    }
    match fault.reason().class() {
        Class::Connect | Class::Reset => Outcome::Unreachable,
        Class::Timeout | Class::Other => Outcome::Failure,
    }
}

/// One try: in flight on its endpoint until dropped, and recorded once.
pub(super) struct Attempt {
    set: Arc<EndpointSet>,
    endpoint: Arc<Endpoint>,
    exchange: Option<Exchange>,
    begun: Instant,
    recorded: bool,
    /// Whether the head of the answer was a good one.
    succeeded: bool,
    /// Whether the trailers say that the call failed.
    failed: bool,
}

impl Attempt {
    pub(super) fn begin(
        set: Arc<EndpointSet>,
        endpoint: Arc<Endpoint>,
        exchange: Option<Exchange>,
    ) -> Self {
        // Not with its exchange: what happened before the endpoint was picked is not its doing.
        let begun = Instant::now();
        endpoint.load().begin();
        endpoint.load().ask(begun);
        Self {
            set,
            endpoint,
            exchange,
            begun,
            recorded: false,
            succeeded: false,
            failed: false,
        }
    }

    fn record(&self, outcome: Outcome) {
        let now = Instant::now();
        self.set
            .record(&self.endpoint, outcome, now - self.begun, now);
    }

    /// Tells whoever asked that the try was given up from outside.
    fn explain_given_up(&self, slow: bool) {
        let why = if slow {
            "given up for being slow"
        } else {
            "given up"
        };
        if let Some(exchange) = &self.exchange {
            exchange.explained(|explained| {
                explained.tries.push(Tried {
                    endpoint: self.endpoint.address().clone(),
                    at: self.begun.saturating_duration_since(exchange.started()),
                    took: self.begun.elapsed(),
                    outcome: why.to_owned(),
                });
            });
        }
    }

    /// Tells whoever may have to wait for this endpoint whether there is another one.
    pub(super) fn look_for_another(&self, result: &Result<Response<Body>, Fault>) {
        let waits = matches!(result, Ok(response)
            if !response.status().is_success() && response.headers().contains_key(RETRY_AFTER));
        if let (true, Some(exchange)) = (waits, &self.exchange) {
            let tried = exchange.story(|story| story.tried.clone());
            let is_there = self.set.endpoints().iter().any(|endpoint| {
                !tried.contains(endpoint.address())
                    && !endpoint.is_ejected(self.set.eject_params())
                    && !endpoint.is_unhealthy()
            });
            exchange.note_alternative(is_there);
        }
    }

    /// Tells whoever asked how the try ended.
    pub(super) fn tell(&self, result: &Result<Response<Body>, Fault>) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        exchange.explained(|explained| {
            explained.tries.push(Tried {
                endpoint: self.endpoint.address().clone(),
                at: self.begun.saturating_duration_since(exchange.started()),
                took: self.begun.elapsed(),
                outcome: match result {
                    Ok(response) => format!("status {}", response.status().as_u16()),
                    Err(fault) => format!("{}: {}", fault.reason().token(), fault.story()),
                },
            });
        });
    }

    /// Keeps what failed among the last failures.
    pub(super) fn note(&self, result: &Result<Response<Body>, Fault>, outcome: Outcome) {
        let failed = matches!(outcome, Outcome::Failure | Outcome::Unreachable);
        let Some(exchange) = self.exchange.as_ref().filter(|_| failed) else {
            return;
        };
        match result {
            Ok(response) if response.status().is_server_error() => {
                let detail = format!("status {}", response.status().as_u16());
                self.note_as(exchange, None, &detail);
            }
            Ok(response) => self.note_grpc(response.headers()),
            Err(fault) => self.note_as(exchange, Some(fault.reason()), &fault.story()),
        }
    }

    fn note_grpc(&self, fields: &HeaderMap) {
        let status = fields
            .get(GRPC_STATUS)
            .and_then(|field| field.to_str().ok());
        if let (Some(exchange), Some(status)) = (&self.exchange, status) {
            self.note_as(exchange, None, &format!("grpc-status {status}"));
        }
    }

    fn note_as(&self, exchange: &Exchange, reason: Option<Reason>, detail: &str) {
        let failures = &exchange.counters().failures;
        failures.tried(reason, detail, self.endpoint.address());
    }

    pub(super) fn answered(&mut self, outcome: Outcome) {
        self.recorded = true;
        self.endpoint.load().answered();
        self.succeeded = outcome == Outcome::Success;
        self.record(outcome);
    }
}

impl Watch for Attempt {
    fn trailers(&mut self, trailers: &HeaderMap) {
        if is_grpc_failure(trailers) {
            self.failed = true;
            self.note_grpc(trailers);
        }
    }

    /// Only a whole answer speaks for the endpoint's health.
    fn end(&mut self, end: End<'_>) {
        let cut = matches!(end, End::Failed(fault) if fault.reason() == Reason::ResponseIncomplete);
        if let (End::Failed(fault), true, Some(exchange)) = (&end, cut, &self.exchange) {
            self.note_as(exchange, Some(fault.reason()), &fault.story());
        }
        if cut || self.failed {
            self.record(Outcome::Failure);
        } else if matches!(end, End::Complete) && self.succeeded {
            self.set.note_success(&self.endpoint);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.load().end();
        if !self.recorded {
            self.endpoint.load().answered();
            // Given up from outside: held against the endpoint only when it was given up for being slow.
            let outrun = self.exchange.as_ref().is_some_and(Exchange::is_outrun);
            let slow = !outrun && self.exchange.as_ref().is_some_and(Exchange::timed_out);
            self.explain_given_up(slow);
            if slow && let Some(exchange) = &self.exchange {
                let reason = Some(Reason::ResponseTimeout);
                self.note_as(exchange, reason, "given up for being slow");
            }
            self.record(match (slow, outrun) {
                (true, _) => Outcome::Failure,
                (false, true) => Outcome::Outrun,
                (false, false) => Outcome::Unknown,
            });
        }
    }
}
