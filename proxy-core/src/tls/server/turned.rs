//! Clients that are turned away: what they are told is on its way, and the connection ends so that they hear it.
//!
//! A close with unread bytes is a reset, and what was sent before may get lost with it: our half is closed first, and
//! what still comes is read for a moment. Clients of TLS 1.3 send a request together with their certificate.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::refused::Refused;
use crate::fault::Reason;

/// How long a client may go on sending what nobody wants.
const LINGER: Duration = Duration::from_secs(1);

/// How much of that is read.
const UNWANTED: u64 = 256 * 1024;

/// A client that is turned away.
#[derive(Debug)]
pub(super) struct Turned {
    refused: Refused,
    /// Where it may still hear of it.
    told: Option<TcpStream>,
}

/// Lets a client do its part within `limit`, and sees it off when it fails.
pub(super) async fn within<T>(
    limit: Duration,
    part: impl Future<Output = Result<T, Turned>>,
) -> Result<T, Refused> {
    match tokio::time::timeout(limit, part).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(turned)) => Err(turned.leave().await),
        Err(_) => Err(Refused::late(limit)),
    }
}

impl Turned {
    /// It was told already why, in an alert.
    pub(super) fn told(refused: Refused, tcp: TcpStream) -> Self {
        let told = Some(tcp);
        Self { refused, told }
    }

    /// It is told by these bytes.
    pub(super) fn tell(refused: Refused, tcp: TcpStream, bytes: &[u8]) -> Self {
        // What is written first always has room.
        let _ = tcp.try_write(bytes);
        Self::told(refused, tcp)
    }

    /// Sees it off.
    pub(super) async fn leave(self) -> Refused {
        if let Some(mut tcp) = self.told {
            let ended = async {
                tcp.shutdown().await?;
                tokio::io::copy(&mut tcp.take(UNWANTED), &mut tokio::io::sink()).await
            };
            let _ = tokio::time::timeout(LINGER, ended).await;
        }
        self.refused
    }
}

impl From<Refused> for Turned {
    fn from(refused: Refused) -> Self {
        let told = None;
        Self { refused, told }
    }
}

/// Whether a first message is the beginning of a request. No record of TLS begins with a letter.
pub(super) fn is_request(read: &[u8]) -> bool {
    read.get(..3)
        .is_some_and(|method| method.iter().all(u8::is_ascii_uppercase))
}

/// What a client is told that speaks HTTP where TLS is spoken.
pub(super) fn answer() -> String {
    let error = Reason::RequestError.token();
    let detail = "this port speaks TLS, and the request came without: use https";
    let text = format!("{error}: {detail}\n");
    format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nproxy-status: remora; error={error}; details=\"{detail}\"\r\n\r\n{text}",
        text.len()
    )
}
