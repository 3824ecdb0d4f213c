//! Leads TLS as it comes to the entry of the name that its client asks for (SNI), and all else to the listener's own stack.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::served::{Current, Place, Served};
use crate::http::{ServerParams, serve_hello};
use crate::net::{Connection, Stream};
use crate::plan::EntryPlan;
use crate::route::ByHost;
use crate::tls::{Acceptor, Hello};

/// The names that are passed through, and the entries of bytes that they lead to.
pub(super) struct Passthrough(ByHost<Arc<Served>>);

impl Passthrough {
    /// That of an entry, if it has any.
    pub(super) fn of(plan: &EntryPlan, on: &Place<'_>) -> Option<Arc<Self>> {
        if plan.passthrough.is_empty() {
            return None;
        }
        let served = plan.passthrough.iter().filter_map(|(host, entry)| {
            let served = Arc::clone(on.served.get(entry)?);
            Some((host.clone(), served))
        });
        Some(Arc::new(Self(served.collect())))
    }

    /// Serves a connection. Without an acceptor nothing but what is passed through is served.
    pub(super) async fn serve(
        &self,
        tcp: TcpStream,
        connection: Arc<Connection>,
        service: Current,
        acceptor: Option<Arc<Acceptor>>,
        server: &ServerParams,
    ) {
        let handshakes = &connection.counters().handshakes;
        let hello = connection.unless_closing(Hello::read(tcp, server.head));
        let hello = match hello.await {
            None => return,
            Some(Ok(hello)) => hello,
            Some(Err(refused)) => {
                handshakes.count(refused.result);
                tracing::debug!(peer = %connection.peer(), detail = %refused, "TLS handshake failed");
                return;
            }
        };
        let stack = self.0.find(hello.server_name().unwrap_or_default());
        if let Some(stack) = stack.and_then(|served| served.tcp()) {
            let (tcp, read) = hello.into_unread();
            let stream = Stream::accepted(tcp, read, Arc::clone(&connection));
            stack.serve_stream(stream, connection).await;
            return;
        }
        match acceptor {
            Some(acceptor) => serve_hello(hello, &acceptor, connection, service, server).await,
            None => handshakes.count(hello.dismiss().await.result),
        }
    }
}
