//! What every request gets as soon as its head was read, whichever protocol it came in.

use std::sync::Arc;

use http::Request;

use crate::body::Body;
use crate::net::Connection;
use crate::telemetry::Exchange;

/// Gives a request its [`Exchange`], and the TLS session that it came in, if it did.
pub(super) fn begin(connection: &Arc<Connection>, request: &mut Request<Body>) {
    connection.begin();
    let counters = Arc::clone(connection.counters());
    let exchange = Exchange::begin(counters, Some(Arc::clone(connection) as _));
    request.extensions_mut().insert(exchange);
    if let Some(secured) = connection.secured() {
        request.extensions_mut().insert(Arc::clone(secured));
    }
}

/// A request waits for the head of its response until this is dropped.
pub(super) struct Awaiting(Arc<Connection>);

impl Awaiting {
    pub(super) fn begin(connection: &Arc<Connection>) -> Self {
        connection.note_awaiting();
        Self(Arc::clone(connection))
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.0.note_answered();
    }
}
