//! Tells the service manager how the process is (`sd_notify(3)`), if it has said where.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

/// What is told once everything is served.
pub(super) const READY: &str = "READY=1";

/// What is told when the drain begins.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Where it is told; nowhere in a program that only embeds a proxy. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Notify(Option<Arc<UnixDatagram>>);

impl Notify {
    /// To the socket that `NOTIFY_SOCKET` names.
    pub(super) fn from_env() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let socket = connected(&name);
        if let Err(error) = &socket {
            tracing::warn!(%error, "the socket that NOTIFY_SOCKET names cannot be used");
        }
        Self(socket.ok().map(Arc::new))
    }

    /// Tells it. Nobody waits for a reader, nor for the answer that there is none of.
    pub(super) fn tell(&self, state: &str) {
        let Some(socket) = &self.0 else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, "the service manager could not be told {state}");
        }
    }
}

fn connected(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_abstract_names_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("remora-test-{}", std::process::id());
        let of_path = UnixDatagram::bind(&path).unwrap();
        let abstracted = SocketAddr::from_abstract_name(&name).unwrap();
        let of_name = UnixDatagram::bind_addr(&abstracted).unwrap();
        let at = format!("@{name}");
        for (name, heard) in [(path.as_os_str(), of_path), (at.as_ref(), of_name)] {
            let notify = Notify(Some(Arc::new(connected(name).unwrap())));
            notify.tell(READY);
            let mut told = [0; 64];
            let length = heard.recv(&mut told).unwrap();
            assert_eq!(&told[..length], READY.as_bytes());
        }
        assert!(connected("/nowhere/at/all".as_ref()).is_err());
        Notify::default().tell(STOPPING);
    }
}
