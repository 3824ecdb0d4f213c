//! Listening sockets: one a worker, sharing a port, and an accept loop that survives a shortage of file descriptors.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use futures_util::FutureExt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::unconstrained;

/// Connections that the kernel may hold for us before we accept them.
const BACKLOG: i32 = 4096;

/// How long to wait after an accept that failed for want of a resource.
const PAUSE: Duration = Duration::from_millis(50);

/// Binds `count` sockets to one address, so that each worker accepts by itself (SO_REUSEPORT).
///
/// The first is bound exclusively: an address that another process listens on is an error, not a
/// silent share. With port 0 all sockets take the port that the first one was given. `dual`: an
/// unspecified IPv6 address serves IPv4 as well.
pub fn bind(address: SocketAddr, dual: bool, count: usize) -> io::Result<Vec<StdListener>> {
    let first = socket(address, dual)?;
    first.bind(&address.into())?;
    // Set after the bind: an earlier owner of the port was refused, our own further sockets are not.
    first.set_reuse_port(true)?;
    first.listen(BACKLOG)?;
    let first = StdListener::from(first);
    let bound = first.local_addr()?;
    let mut all = vec![first];
    while all.len() < count.max(1) {
        let next = socket(bound, dual)?;
        next.set_reuse_port(true)?;
        next.bind(&bound.into())?;
        next.listen(BACKLOG)?;
        all.push(next.into());
    }
    Ok(all)
}

fn socket(address: SocketAddr, dual: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Accepts connections of one socket.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
}

impl Acceptor {
    /// Takes over a bound socket. Must be called within a tokio runtime.
    pub fn new(listener: StdListener) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
        })
    }

    /// The next connection. A connection that was gone before it could be accepted is passed over;
    /// for want of descriptors or memory it pauses and tries again, so that the proxy never spins.
    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    // A socket for both families says IPv4 addresses in IPv6.
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    return (stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections, pausing");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The connections that the kernel holds for us already, at most as many as it may: nobody waits for any, nor
    /// for an end of those that come meanwhile.
    pub fn queued(&self) -> impl Iterator<Item = (TcpStream, SocketAddr)> + '_ {
        // Unconstrained: a task that has done much is told that nothing is there.
        (0..=BACKLOG).map_while(|_| unconstrained(self.accept()).now_or_never())
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_share_a_port_among_themselves_and_with_nobody_else() {
        let own = bind("127.0.0.1:0".parse().unwrap(), false, 3).unwrap();
        let address = own[0].local_addr().unwrap();
        assert!(
            own.iter()
                .all(|listener| listener.local_addr().unwrap() == address)
        );
        let refused = bind(address, false, 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn all_that_is_queued_is_accepted_however_much_that_is() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
        let acceptor = Acceptor::new(listener.into_iter().next().unwrap()).unwrap();
        let address = acceptor.listener.local_addr().unwrap();
        // More than a task may do in one go.
        let connect = |_| std::net::TcpStream::connect(address).unwrap();
        let clients: Vec<_> = (0..300).map(connect).collect();
        acceptor.listener.accept().await.unwrap();
        assert_eq!(acceptor.queued().count(), clients.len() - 1);
    }
}
