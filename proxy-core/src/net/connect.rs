//! Opens a TCP connection to an endpoint, or says in a [`Fault`] why it could not.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::fault::{Fault, Reason};

/// Connects within `limit`. Every fault is one before anything was sent.
pub async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, Fault> {
    let stream = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(fault(address, error)),
        Err(_) => {
            let detail = format!("no connection to {address} within {limit:?}");
            return Err(Fault::unseen(Reason::ConnectionTimeout, detail));
        }
    };
    // Small messages must not wait for acknowledgements of earlier ones; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn fault(address: SocketAddr, error: io::Error) -> Fault {
    let (reason, detail) = match error.kind() {
        ErrorKind::ConnectionRefused => (
            Reason::ConnectionRefused,
            format!("{address} refused the connection"),
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
