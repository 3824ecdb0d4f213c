//! Copies bytes both ways until both ends are done, for raw TCP entries and upgraded connections.
//!
//! Either end may close its half first: the other half goes on, as with a direct connection.

use std::io;
use std::pin::pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};

use super::{Expired, Watchdog};

/// Bytes buffered a direction.
const BUFFER: usize = 32 * 1024;

/// Copies until both directions have ended. Returns the bytes that went up and down.
///
/// Fails with [`io::ErrorKind::TimedOut`] when the watchdog says that nothing moves any more.
pub async fn tunnel<D, U>(
    downstream: &mut D,
    upstream: &mut U,
    mut watchdog: Watchdog,
) -> io::Result<(u64, u64)>
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut copy = pin!(copy_bidirectional_with_sizes(
        downstream, upstream, BUFFER, BUFFER
    ));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = copy.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        match watchdog.poll_expired(cx) {
            Poll::Ready(Expired::Idle | Expired::Head) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "nothing moved for timeout.idle",
            ))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
