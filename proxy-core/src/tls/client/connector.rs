//! Makes TLS of TCP connections to upstreams, with the certificates that the files hold at the time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::faults;
use super::material::{Material, Params, Unusable};
use crate::address::Address;
use crate::fault::Fault;
use crate::tls::follow::{Prints, Sources};
use crate::tls::records::{BATCH, RECORD};

/// The protocols that are offered to an upstream by ALPN (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// None: the bytes inside are not ours.
    Nothing,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Either, HTTP/2 first.
    Either,
}

/// Makes TLS connections for one entry.
#[derive(Debug)]
pub struct Connector {
    params: Params,
    current: ArcSwap<Configs>,
    /// What the files held when they were read first.
    first: Prints,
}

/// The same settings with each offer, so that a connection copies none.
#[derive(Debug)]
struct Configs {
    nothing: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

impl Configs {
    fn new(Material(config): Material) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.max_fragment_size = Some(RECORD);
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            nothing: offering(&[]),
            http1: offering(&[b"http/1.1"]),
            http2: offering(&[b"h2"]),
            either: offering(&[b"h2", b"http/1.1"]),
        }
    }
}

impl Connector {
    /// Reads the files.
    pub fn new(params: Params) -> Result<Self, Unusable> {
        let first = sources(&params).prints();
        let material = Material::load(&params)?;
        Ok(Self {
            params,
            first,
            current: ArcSwap::from_pointee(Configs::new(material)),
        })
    }

    /// What it was made of.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Follows the files for as long as it is polled.
    pub async fn follow(&self, entry: &str) {
        let load = || {
            let material = Material::load(&self.params)?;
            self.current.store(Arc::new(Configs::new(material)));
            Ok::<_, Unusable>(())
        };
        let sources = sources(&self.params);
        sources.follow(entry, self.first.clone(), load, || {}).await;
    }

    /// The name that an endpoint called `host` is asked for.
    pub(super) fn name(&self, host: &str, address: &Address) -> ServerName<'static> {
        let host = self.params.name.as_deref().unwrap_or(host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned());
        name.unwrap_or_else(|_| {
            let ip = address.tcp().map(|address| address.ip());
            ServerName::from(ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
        })
    }

    /// Shakes hands. Every fault is one before anything was sent.
    pub(super) async fn secure(
        &self,
        tcp: TcpStream,
        name: ServerName<'static>,
        offer: Offer,
        address: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let configs = self.current.load();
        let config = match offer {
            Offer::Nothing => &configs.nothing,
            Offer::Http1 => &configs.http1,
            Offer::Http2 => &configs.http2,
            Offer::Either => &configs.either,
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        drop(configs);
        let batches = |session: &mut ClientConnection| session.set_buffer_limit(Some(BATCH));
        let shaken = connector.connect_with(name, tcp, batches).await;
        shaken.map_err(|error| faults::of_handshake(address, error))
    }
}

fn sources(params: &Params) -> Sources {
    Sources {
        files: params.files().into_iter().map(Path::to_owned).collect(),
        folders: Vec::new(),
    }
}
