//! TCP upstreams that follow a script for each connection, so that they can break every rule.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::wire::Wire;

/// Binds a listener with `SO_REUSEADDR`, so that a port can be taken again at once.
///
/// # Panics
///
/// When the address is taken.
pub fn listen(address: SocketAddr) -> TcpListener {
    let listener = hold(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.listen(1024)?;
        TcpListener::from_std(socket.into())
    });
    listener.unwrap_or_else(|why| panic!("listening on {address}: {why}"))
}

/// An ephemeral port of the loopback address.
pub fn ephemeral() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A loopback address where nobody listens: connections are refused.
///
/// The port is bound for as long as the returned socket lives, so that nobody else is given it, and only who asks for it
/// takes it: [`listen`], or a proxy that is told to.
///
/// # Panics
///
/// When no port is left.
pub fn refusing() -> (SocketAddr, Socket) {
    let held = hold(ephemeral()).expect("a free port");
    (address_of(&held), held)
}

/// Binds an address without listening on it.
///
/// # Errors
///
/// When it is taken.
pub fn hold(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The address that a socket is bound to.
///
/// # Panics
///
/// When it is bound to none.
pub fn address_of(socket: &Socket) -> SocketAddr {
    let address = socket.local_addr().expect("a bound socket").as_socket();
    address.expect("an IP address")
}

/// A listening upstream; dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Plays `script` on each connection; its second argument counts them from 0.
    pub fn start<F, R>(script: F) -> Self
    where
        F: Fn(Wire, usize) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = listen(ephemeral());
        let address = listener.local_addr().expect("a bound socket");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut scripts = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                scripts.spawn(script(Wire::new(stream), number));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    /// Reads the head of one request on each connection, sends `answer` and closes.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut wire, _| {
            let answer = Arc::clone(&answer);
            async move {
                if wire.head().await.is_ok() {
                    let _ = wire.send(&answer).await;
                    let _ = wire.finish().await;
                    wire.rest().await;
                }
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::{Scripted, refusing};
    use crate::promise::promise;
    use crate::wire::{Ending, Wire};

    #[test]
    fn a_script_is_played_on_each_connection() {
        promise(async {
            let origin = Scripted::answering("HTTP/1.1 200 OK\r\n\r\nhello");
            for _ in 0..2 {
                let mut wire = Wire::connect(origin.address()).await;
                wire.send("GET / HTTP/1.1\r\n\r\n").await.expect("sent");
                wire.head().await.expect("a head");
                assert_eq!(wire.rest().await, (b"hello".to_vec(), Ending::Closed));
            }
            assert_eq!(origin.connections(), 2);
        });
    }

    #[test]
    fn a_reset_is_told_from_a_close() {
        promise(async {
            let origin = Scripted::start(|mut wire, _| async move {
                let _ = wire.head().await;
                wire.reset();
            });
            let mut wire = Wire::connect(origin.address()).await;
            wire.send("GET / HTTP/1.1\r\n\r\n").await.expect("sent");
            assert_eq!(wire.rest().await, (Vec::new(), Ending::Reset));
        });
    }

    #[test]
    fn a_refusing_address_refuses() {
        promise(async {
            let (address, _held) = refusing();
            tokio::net::TcpStream::connect(address)
                .await
                .expect_err("refused");
        });
    }
}
