//! The way to one endpoint: a TCP connection, with TLS inside where the entry has it, or one to a Unix socket.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::{Connector, Offer};
use crate::address::Address;
use crate::fault::{Fault, Reason};
use crate::net::proxy_protocol::{Ends, Version, encode};
use crate::net::{Stream, connect, connect_unix};
use crate::telemetry::EntryCounters;

/// How one endpoint is reached.
#[derive(Debug, Clone)]
pub struct Reach {
    address: Address,
    tls: Option<(Arc<Connector>, ServerName<'static>)>,
    introducing: Option<Version>,
}

/// A connection that was made.
#[derive(Debug)]
pub enum Reached {
    /// Without TLS.
    Plain(TcpStream),
    /// To a Unix socket.
    Local(UnixStream),
    /// With TLS.
    Secured(Box<TlsStream<TcpStream>>),
}

impl Reach {
    /// The way to `address`, which is called `host`.
    pub fn new(address: &Address, host: &str, tls: Option<&Arc<Connector>>) -> Self {
        let tls = tls.map(|tls| (Arc::clone(tls), tls.name(host, address)));
        Self {
            address: address.clone(),
            tls,
            introducing: None,
        }
    }

    /// The same, where each connection begins with a header of the PROXY protocol, before TLS.
    pub fn introducing(mut self, version: Option<Version>) -> Self {
        self.introducing = version;
        self
    }

    /// Whether connections begin with a header, and so are each for one client alone.
    pub fn introduces(&self) -> bool {
        self.introducing.is_some()
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether there is TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects, and shakes hands, within `limit`. Every fault is one before anything was sent. `ends` is what a
    /// header says, if there is to be one: between whom the connection is that this one is for, or none of our own.
    pub async fn connect(
        &self,
        offer: Offer,
        limit: Duration,
        ends: Option<Ends>,
    ) -> Result<Reached, Fault> {
        let (address, connector, name) = match (&self.address, &self.tls) {
            (Address::Tcp(address), None) => {
                let tcp = self.begin(connect(*address, limit).await?, ends).await?;
                return Ok(Reached::Plain(tcp));
            }
            (Address::Unix(path), None) => {
                let local = self.begin(connect_unix(path, limit).await?, ends).await?;
                return Ok(Reached::Local(local));
            }
            (Address::Unix(_), Some(_)) => {
                let detail = format!("no TLS is spoken over {}", self.address);
                return Err(Fault::unseen(Reason::Internal, detail));
            }
            (Address::Tcp(address), Some((connector, name))) => (*address, connector, name),
        };
        let both = async {
            let tcp = self.begin(connect(address, limit).await?, ends).await?;
            let secured = connector.secure(tcp, name.clone(), offer, address).await?;
            if offer == Offer::Http2 && secured.get_ref().1.alpn_protocol() != Some(b"h2") {
                let detail = format!("{address} does not agree to HTTP/2");
                return Err(Fault::unseen(Reason::TlsProtocolError, detail));
            }
            Ok(Reached::Secured(Box::new(secured)))
        };
        match tokio::time::timeout(limit, both).await {
            Ok(reached) => reached,
            Err(_) => {
                let detail = format!("{address} did not finish the TLS handshake within {limit:?}");
                Err(Fault::unseen(Reason::ConnectionTimeout, detail))
            }
        }
    }

    /// Writes the header on a new connection, where there is to be one. A socket that is new takes it whole.
    async fn begin<T>(&self, mut stream: T, ends: Option<Ends>) -> Result<T, Fault>
    where
        T: AsyncWrite + Unpin,
    {
        if let Some(version) = self.introducing {
            let header = encode(version, ends.as_ref());
            stream.write_all(&header).await.map_err(|error| {
                let detail = format!("{} closed the connection at once", self.address);
                Fault::unseen(Reason::ConnectionTerminated, detail).because(error)
            })?;
        }
        Ok(stream)
    }
}

impl Reached {
    /// Whether HTTP/2 was agreed on.
    pub fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Local(_) => false,
            Self::Secured(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// The stream; it is counted as open until dropped.
    pub fn counted(self, counters: Arc<EntryCounters>) -> Stream {
        match self {
            Self::Plain(tcp) => Stream::connected(tcp, counters),
            Self::Local(unix) => Stream::local(unix, counters),
            Self::Secured(tls) => Stream::secured((*tls).into(), counters),
        }
    }
}
