//! Leads TLS as it comes to the entry of the name that its client asks for (SNI), and all else to the listener's own stack.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::served::{Current, Place, Served};
use crate::http::{ServerParams, serve_hello};
use crate::net::{Connection, Stream};
use crate::plan::EntryPlan;
use crate::route;
use crate::tls::{Acceptor, Hello};

/// The names that are passed through, and the entries of bytes that they lead to.
#[derive(Default)]
pub(super) struct Passthrough {
    exact: HashMap<Box<str>, Arc<Served>>,
    /// Without their `*.`.
    wildcards: HashMap<Box<str>, Arc<Served>>,
    any: Option<Arc<Served>>,
}

impl Passthrough {
    /// That of an entry, if it has any.
    pub(super) fn of(plan: &EntryPlan, on: &Place<'_>) -> Option<Arc<Self>> {
        if plan.passthrough.is_empty() {
            return None;
        }
        let mut all = Self::default();
        for (host, entry) in &plan.passthrough {
            let (Ok(host), Some(served)) = (host.parse(), on.served.get(entry)) else {
                continue;
            };
            let served = Arc::clone(served);
            match host {
                route::Host::Any => all.any = Some(served),
                route::Host::Wildcard(suffix) => drop(all.wildcards.insert(suffix, served)),
                route::Host::Exact(name) => drop(all.exact.insert(name, served)),
            }
        }
        Some(Arc::new(all))
    }

    /// The most specific entry for a name: itself, the longest wildcard, or any.
    fn find(&self, name: Option<&str>) -> Option<&Arc<Served>> {
        let name = name.unwrap_or_default();
        let dots = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let mut wildcards = dots.filter_map(|suffix| self.wildcards.get(suffix));
        self.exact
            .get(name)
            .or_else(|| wildcards.next())
            .or(self.any.as_ref())
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
        let stack = self.find(hello.server_name());
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
