//! The end of a connection, and the end of a request that nobody reads any more.
//!
//! A close with unread bytes resets the connection, and the response could get lost with it (RFC
//! 9112, 9.6): our half is closed first, and what still comes is read for a moment.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;

use super::body::{Downstream, Incoming};
use super::head::Bad;
use super::outbox::Outbox;
use super::server::Ended;
use crate::fault::Reason;

/// How long a client may go on sending what nobody wants.
const LINGER: Duration = Duration::from_secs(1);

/// How much of that is read.
const UNWANTED: usize = 256 * 1024;

type Shared = Arc<Mutex<Downstream>>;

/// Answers what is no request, and ends the connection. Who speaks another protocol would not understand the answer: for
/// an invalid preface RFC 9113, 3.4, wants no more than the end.
pub(super) async fn refuse(wire: Shared, bad: Bad) -> Option<Ended> {
    let (status, detail) = match bad {
        Bad::Malformed(what) => ("400 Bad Request", what),
        Bad::TooLarge => (
            "431 Request Header Fields Too Large",
            "the head has more bytes than max-headers allows",
        ),
        Bad::TooMany => (
            "431 Request Header Fields Too Large",
            "the head has more than 100 fields",
        ),
        Bad::TargetTooLong => (
            "414 URI Too Long",
            "the request line has more bytes than max-headers allows",
        ),
        Bad::Late => (
            "408 Request Timeout",
            "the head did not come to its end in time",
        ),
        Bad::Version => (
            "505 HTTP Version Not Supported",
            "the version of HTTP is not one that is spoken here",
        ),
        Bad::Foreign => {
            linger(&wire).await;
            return Some(Ended::Malformed);
        }
    };
    let error = Reason::RequestError.token();
    let text = format!("{error}: {detail}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nproxy-status: remora; error={error}; details=\"{detail}\"\r\ndate: {}\r\n\r\n{text}",
        text.len(),
        httpdate::fmt_http_date(SystemTime::now()),
    );
    let mut out = Outbox::default();
    out.join(|joined| joined.extend_from_slice(answer.as_bytes()));
    let write = std::future::poll_fn(|cx| out.poll_write(&mut wire.lock().stream, cx));
    let _ = tokio::time::timeout(LINGER, write).await;
    linger(&wire).await;
    Some(Ended::Malformed)
}

/// Ends a connection on which nothing is left to be read, as far as is known.
pub(super) async fn shut(wire: Shared) -> Option<Ended> {
    if shutdown(&wire).await.is_ok() && !wire.lock().stream.is_quiet() {
        linger(&wire).await;
    }
    Some(Ended::Well)
}

/// Waits for whoever still sends the request's body on, then reads what is left of it, if that is
/// little: another request may then follow.
pub(super) async fn finish(wire: Shared, keep_alive: bool) -> Option<Ended> {
    std::future::poll_fn(|cx| {
        let mut downstream = wire.lock();
        if !downstream.is_being_read() {
            return Poll::Ready(());
        }
        downstream.poll_gone(cx)
    })
    .await;
    wire.lock().take_over();
    if read_to_end(&wire).await && keep_alive {
        return None;
    }
    linger(&wire).await;
    Some(match wire.lock().incoming {
        Incoming::Malformed => Ended::Malformed,
        _ => Ended::Well,
    })
}

/// False when more would come, or the body is broken.
async fn read_to_end(wire: &Shared) -> bool {
    let mut left = UNWANTED;
    let read = std::future::poll_fn(|cx| {
        let mut downstream = wire.lock();
        loop {
            match ready!(downstream.poll_frame(cx)) {
                None => return Poll::Ready(true),
                Some(Err(_)) => return Poll::Ready(false),
                Some(Ok(frame)) => {
                    let size = frame.data_ref().map_or(0, Bytes::len);
                    let Some(rest) = left.checked_sub(size) else {
                        return Poll::Ready(false);
                    };
                    left = rest;
                }
            }
        }
    });
    tokio::time::timeout(LINGER, read).await.unwrap_or(false)
}

async fn shutdown(wire: &Shared) -> std::io::Result<()> {
    std::future::poll_fn(|cx| Pin::new(&mut wire.lock().stream).poll_shutdown(cx)).await
}

async fn linger(wire: &Shared) {
    let mut left = UNWANTED;
    let drained = std::future::poll_fn(|cx| {
        let mut downstream = wire.lock();
        let Downstream { stream, buffer, .. } = &mut *downstream;
        loop {
            left = left.saturating_sub(buffer.len());
            buffer.consume(buffer.len());
            match ready!(buffer.poll_fill(stream, cx)) {
                Ok(read) if read > 0 && left > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
    });
    if shutdown(wire).await.is_ok() {
        let _ = tokio::time::timeout(LINGER, drained).await;
    }
}
