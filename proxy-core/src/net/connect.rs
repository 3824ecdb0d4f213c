//! Opens a connection to an endpoint, over TCP or a Unix socket, or says in a [`Fault`] why it could not.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::fault::{Fault, Reason};

/// The longest pause before a Unix socket whose queue is full is tried again.
const QUEUED: Duration = Duration::from_millis(50);

/// Connects within `limit`. Every fault is one before anything was sent.
pub async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, Fault> {
    let stream = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(fault(&address.into(), error)),
        Err(_) => {
            let detail = format!("no connection to {address} within {limit:?}");
            return Err(Fault::unseen(Reason::ConnectionTimeout, detail));
        }
    };
    // Small messages must not wait for acknowledgements of earlier ones; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Connects to the stream socket of this path within `limit`. Every fault is one before anything was sent.
pub async fn connect_unix(path: &Arc<Path>, limit: Duration) -> Result<UnixStream, Fault> {
    let address = || Address::Unix(Arc::clone(path));
    match tokio::time::timeout(limit, queue(path)).await {
        Ok(connected) => connected.map_err(|error| fault(&address(), error)),
        Err(_) => {
            let detail = format!("no connection to {} within {limit:?}", address());
            Err(Fault::unseen(Reason::ConnectionTimeout, detail))
        }
    }
}

/// Tries again while the queue of those who wait to be accepted is full: over TCP the kernel waits for a
/// place, but of a Unix socket it says at once that there is none (connect(2), EAGAIN).
async fn queue(path: &Path) -> io::Result<UnixStream> {
    let mut pause = Duration::from_millis(1);
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(QUEUED);
            }
            connected => return connected,
        }
    }
}

fn fault(address: &Address, error: io::Error) -> Fault {
    let (reason, detail) = match error.kind() {
        ErrorKind::ConnectionRefused => (
            Reason::ConnectionRefused,
            format!("{address} refused the connection"),
        ),
        // Nobody has made it yet, or whoever did has taken it away.
        ErrorKind::NotFound => (
            Reason::ConnectionRefused,
            format!("there is no socket {address}"),
        ),
        ErrorKind::TimedOut => (
            Reason::ConnectionTimeout,
            format!("no connection to {address}"),
        ),
        ErrorKind::AddrNotAvailable => (
            Reason::Internal,
            format!("no local port left to reach {address}"),
        ),
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => {
            (Reason::Internal, "out of file descriptors".to_owned())
        }
        _ => (
            Reason::DestinationUnavailable,
            format!("{address} cannot be reached"),
        ),
    };
    Fault::unseen(reason, detail).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_named_with_what_is_wrong_with_it() {
        let address = Address::Unix(Path::new("/run/app.sock").into());
        for (kind, reason, words) in [
            (
                ErrorKind::NotFound,
                Reason::ConnectionRefused,
                "there is no socket",
            ),
            (
                ErrorKind::ConnectionRefused,
                Reason::ConnectionRefused,
                "refused",
            ),
            (
                ErrorKind::PermissionDenied,
                Reason::DestinationUnavailable,
                "permission denied",
            ),
        ] {
            let fault = fault(&address, kind.into());
            let story = fault.story();
            assert_eq!(fault.reason(), reason, "{story}");
            assert!(story.contains("unix:/run/app.sock"), "{story}");
            assert!(story.contains(words), "{story}");
        }
    }
}
