//! The way to one endpoint: a TCP connection, with TLS inside where the entry has it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Connector, Offer};
use crate::fault::{Fault, Reason};
use crate::net::proxy_protocol::{Ends, Version, encode};
use crate::net::{Stream, connect};
use crate::telemetry::EntryCounters;

/// How one endpoint is reached.
#[derive(Debug, Clone)]
pub struct Reach {
    address: SocketAddr,
    tls: Option<(Arc<Connector>, ServerName<'static>)>,
    introducing: Option<Version>,
}

/// A connection that was made.
#[derive(Debug)]
pub enum Reached {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Secured(Box<TlsStream<TcpStream>>),
}

impl Reach {
    /// The way to `address`, which is called `host`.
    pub fn new(address: SocketAddr, host: &str, tls: Option<&Arc<Connector>>) -> Self {
        let tls = tls.map(|tls| (Arc::clone(tls), tls.name(host, address)));
        Self {
            address,
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
    pub fn address(&self) -> SocketAddr {
        self.address
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
        let Some((connector, name)) = &self.tls else {
            return self.begin(limit, ends).await.map(Reached::Plain);
        };
        let address = self.address;
        let both = async {
            let tcp = self.begin(limit, ends).await?;
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

    /// Connects, and writes the header where there is to be one. A socket that is new takes it whole.
    async fn begin(&self, limit: Duration, ends: Option<Ends>) -> Result<TcpStream, Fault> {
        let mut tcp = connect(self.address, limit).await?;
        if let Some(version) = self.introducing {
            let header = encode(version, ends.as_ref());
            tcp.write_all(&header).await.map_err(|error| {
                let detail = format!("{} closed the connection at once", self.address);
                Fault::unseen(Reason::ConnectionTerminated, detail).because(error)
            })?;
        }
        Ok(tcp)
    }
}

impl Reached {
    /// Whether HTTP/2 was agreed on.
    pub fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secured(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// The stream; it is counted as open until dropped.
    pub fn counted(self, counters: Arc<EntryCounters>) -> Stream {
        match self {
            Self::Plain(tcp) => Stream::connected(tcp, counters),
            Self::Secured(tls) => Stream::secured((*tls).into(), counters),
        }
    }
}
