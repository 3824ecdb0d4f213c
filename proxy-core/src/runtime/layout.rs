//! Everything that workers are to serve, as one value, and the sockets that it needs.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::entry::Entry;
use super::inherited::Inherited;
use crate::net;
use crate::plan::EntryPlan;
use crate::telemetry::AccessLog;

/// Tells one listener from another over reloads: its address, and for ephemeral ports its entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    address: SocketAddr,
    entry: Option<Arc<str>>,
}

/// What is served from now on.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) log: AccessLog,
    /// Whether bodies may go through pipes of the kernel.
    pub(super) splice: bool,
}

/// New sockets, one a worker and address.
pub(super) type Sockets = HashMap<Key, TcpListener>;

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("entry `{entry}` cannot listen on {address}")]
pub struct BindError {
    entry: Arc<str>,
    address: SocketAddr,
    #[source]
    cause: io::Error,
}

/// The listeners of an entry.
pub(super) fn keys(plan: &EntryPlan) -> impl Iterator<Item = Key> {
    plan.listen.iter().map(|address| Key {
        address: *address,
        entry: (address.port() == 0).then(|| Arc::clone(&plan.name)),
    })
}

/// Binds what is not bound yet, for each worker; what was passed to the process is bound already. All or nothing.
pub(super) fn bind(
    entries: &[Arc<Entry>],
    bound: &HashMap<Key, SocketAddr>,
    inherited: &Inherited,
    workers: usize,
) -> Result<(Vec<Sockets>, HashMap<Key, SocketAddr>), BindError> {
    let mut sockets: Vec<Sockets> = (0..workers).map(|_| Sockets::new()).collect();
    let mut all = HashMap::new();
    for entry in entries {
        let alone = entry.plan.listen.len() == 1;
        let mut port = None;
        for (index, key) in keys(&entry.plan).enumerate() {
            if let Some(address) = bound.get(&key) {
                port = Some(address.port());
                all.insert(key, *address);
                continue;
            }
            // `localhost:0`: both families share the port that the first was given.
            let wanted = match port {
                Some(port) if key.address.port() == 0 => SocketAddr::new(key.address.ip(), port),
                _ => key.address,
            };
            let passed = inherited.sockets(wanted, workers).transpose();
            let bind = || net::bind(wanted, alone, workers);
            let listeners = match passed.unwrap_or_else(bind) {
                Ok(listeners) => listeners,
                // The second address of a name: a machine without IPv6 does without it.
                Err(error) if index > 0 && is_absent(&error) => continue,
                // The socket of the entry's other address serves this one too.
                Err(_) if inherited.covers(wanted, &entry.plan.listen) => continue,
                Err(cause) => {
                    return Err(BindError {
                        entry: Arc::clone(&entry.plan.name),
                        address: wanted,
                        cause,
                    });
                }
            };
            let address = listeners
                .first()
                .and_then(|l| l.local_addr().ok())
                .unwrap_or(wanted);
            port = Some(address.port());
            tracing::info!(entry = &*entry.plan.name, address = %address, "listening");
            all.insert(key.clone(), address);
            for (worker, listener) in sockets.iter_mut().zip(listeners) {
                worker.insert(key.clone(), listener);
            }
        }
    }
    Ok((sockets, all))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(97)
}
