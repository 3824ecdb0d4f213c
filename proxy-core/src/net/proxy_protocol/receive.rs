//! Takes the header off a connection that was just accepted, and not a byte behind it.
//!
//! It looks at what has come before it takes it, so that whoever reads next, TLS included, finds exactly what follows.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use super::{Header, decode};
use crate::lifecycle::Phase;
use crate::net::{Connection, Network};
use crate::telemetry::Introduction;

/// What is looked at at once.
const LOOK: usize = 512;

/// Whose headers are believed, and how long they may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The peers that connections are accepted from, each with a header.
    pub from: Vec<Network>,
    /// How long a header may take.
    pub limit: Duration,
}

/// Reads the header and tells `connection` what it says. What is not [accepted](Introduction::is_accepted) is to be closed.
pub async fn receive(tcp: &TcpStream, connection: &Connection, params: &Params) -> Introduction {
    let peer = connection.peer();
    if !params.from.iter().any(|known| known.contains(peer.ip())) {
        tracing::debug!(%peer, "refused: not among those that `proxy-protocol` accepts");
        return Introduction::Untrusted;
    }
    match tokio::time::timeout(params.limit, read(tcp, connection)).await {
        Ok(Ok(Header::Proxied(ends))) => {
            connection.note_ends(ends);
            Introduction::Proxied
        }
        Ok(Ok(Header::Local)) => Introduction::Local,
        Ok(Err(refused)) => refused,
        Err(_) => Introduction::Timeout,
    }
}

async fn read(tcp: &TcpStream, connection: &Connection) -> Result<Header, Introduction> {
    let mut seen = Vec::new();
    loop {
        let mut ahead = [0; LOOK];
        let looked = poll_fn(|cx| {
            connection.on_phase(cx.waker());
            if connection.phase() == Phase::Closing {
                return Poll::Ready(Ok(0));
            }
            tcp.poll_peek(cx, &mut ReadBuf::new(&mut ahead))
        });
        let count = looked.await.map_err(|_| Introduction::Closed)?;
        if count == 0 {
            return Err(Introduction::Closed);
        }
        let before = seen.len();
        seen.extend_from_slice(&ahead[..count]);
        let decoded = decode(&seen).map_err(|malformed| {
            tracing::debug!(peer = %connection.peer(), detail = malformed.0, "no header of the PROXY protocol");
            Introduction::Malformed
        })?;
        let taken = decoded.map_or(count, |(_, length)| length - before);
        take(tcp, taken).map_err(|_| Introduction::Closed)?;
        if let Some((header, _)) = decoded {
            return Ok(header);
        }
    }
}

/// Takes bytes that have come already.
fn take(tcp: &TcpStream, mut count: usize) -> io::Result<()> {
    let mut taken = [0; LOOK];
    while count > 0 {
        match tcp.try_read(&mut taken[..count.min(LOOK)])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => count -= read,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::Connections;

    /// What becomes of a connection on which this comes and no more, and what is left of it to read.
    async fn received(sent: &[u8]) -> (Introduction, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let mut client = client.unwrap();
        let (tcp, peer) = listener.accept().await.unwrap();
        let connection = Connections::new(std::sync::Arc::default()).open(peer);
        client.write_all(sent).await.unwrap();
        tcp.readable().await.unwrap();
        let params = Params {
            from: vec![Network::new(peer.ip(), 32)],
            limit: Duration::from_secs(10),
        };
        // From here on time passes as soon as nothing else happens.
        tokio::time::pause();
        let introduction = receive(&tcp, &connection, &params).await;
        tokio::time::resume();
        let mut left = [0; 64];
        let left_over = tcp.try_read(&mut left).unwrap_or(0);
        (introduction, left[..left_over].to_vec())
    }

    #[tokio::test]
    async fn a_header_that_does_not_end_is_not_waited_for() {
        let (introduction, _) = received(b"PROXY TCP4 192.0.2.1 ").await;
        assert_eq!(introduction, Introduction::Timeout);
    }

    #[tokio::test]
    async fn what_follows_stays_for_who_reads_next() {
        let (introduction, left) = received(b"PROXY UNKNOWN\r\n\x16\x03\x01").await;
        assert_eq!(introduction, Introduction::Local);
        assert_eq!(left, b"\x16\x03\x01");
    }
}
