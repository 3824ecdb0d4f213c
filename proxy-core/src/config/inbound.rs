//! One entry of the inbound role: where callers connect to, and the workload behind.
//!
//! It is what an outbound [`Entry`] would be with one endpoint that is this pod's own: the keys that choose
//! between endpoints are missing, the others are of the same types, and some have other defaults. Ejection is
//! left as it is: it never takes out the last endpoint, and of `localhost` the address where nobody listens.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    Entry, Forwarded, Health, HostPolicy, InboundTls, Inject, Invalid, Limit, ListenAddress,
    ListenHost, Mirror, OrOff, PathPolicy, Pool, ProxyProtocol, ProxyVersion, Retry, RetryOn, Size,
    Timeouts, To, Url,
    entry::default_max_headers,
    written::{Written, written},
};

/// One entry of the inbound role. `listen` and `to` are required, every other key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `listen` and `to`"
)]
pub struct Inbound {
    /// Where callers connect to. `:8443` is every address.
    pub listen: InboundAddress,
    /// The workload: a URL of `http`, `h2c` or `tcp`, or the path of a Unix socket.
    pub to: Url,
    /// Who connects with a header of the PROXY protocol, or `off`: then nobody does, and a header is no request.
    /// Default: `off`.
    #[serde(default = "OrOff::<ProxyProtocol>::off")]
    pub proxy_protocol: OrOff<ProxyProtocol>,
    /// How callers are spoken to inside TLS; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "InboundTls"))]
    pub tls: Option<InboundTls>,
    /// What the workload is told as the authority (`Host`, `:authority`): what the caller wrote, or
    /// the host and port of `to`. Default: `keep`.
    #[serde(default = "keep")]
    pub host: HostPolicy,
    /// What the workload is told of who called, or `off`: then what came is passed on.
    #[serde(default)]
    pub forwarded: OrOff<Forwarded>,
    /// How long each step may take.
    #[serde(default)]
    pub timeout: Timeouts,
    /// When and how often a failed try is repeated, or `off`. Here `on` is `[connect]` by default: what
    /// the workload may have seen is the caller's to repeat.
    #[serde(default = "retry")]
    pub retry: OrOff<Retry>,
    /// How much is let through.
    #[serde(default)]
    pub limit: Limit,
    /// Faults that are made on purpose, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Inject>::off")]
    pub inject: OrOff<Inject>,
    /// Where copies of requests go, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Mirror>::off")]
    pub mirror: OrOff<Mirror>,
    /// What holds for the requests below a path instead: a path of whole segments, such as
    /// `/reports`, and its policies. The longest path counts.
    #[serde(default)]
    pub paths: BTreeMap<String, PathPolicy>,
    /// How the workload is asked how it is, or `off`. While it fails its checks, or has passed none yet,
    /// the process is not ready. Default: `off`.
    #[serde(default = "OrOff::<Health>::off")]
    pub health: OrOff<Health>,
    /// With which header of the PROXY protocol connections to the workload begin, `v1` or `v2`, or `off`: it
    /// says whose they are, and each carries requests of one client's connection alone. Not with HTTP/2.
    /// Default: `off`.
    #[serde(default = "OrOff::<ProxyVersion>::off")]
    pub send_proxy: OrOff<ProxyVersion>,
    /// How many connections to the workload are held and for how long.
    #[serde(default)]
    pub pool: Pool,
    /// The most that the header section of a request or a response may take, `1KiB` to `1MiB`.
    /// Default: `64KiB`.
    #[serde(default = "default_max_headers")]
    pub max_headers: Size,
}

const fn keep() -> HostPolicy {
    HostPolicy::Keep
}

fn retry() -> OrOff<Retry> {
    OrOff::On(Retry {
        on: Inbound::retried(),
        ..Retry::default()
    })
}

impl Inbound {
    /// An entry with every default.
    pub fn new(listen: InboundAddress, to: Url) -> Self {
        Self {
            listen,
            to,
            proxy_protocol: OrOff::Off,
            tls: None,
            host: keep(),
            forwarded: OrOff::default(),
            timeout: Timeouts::default(),
            retry: retry(),
            limit: Limit::default(),
            inject: OrOff::Off,
            mirror: OrOff::Off,
            paths: BTreeMap::new(),
            health: OrOff::Off,
            send_proxy: OrOff::Off,
            pool: Pool::default(),
            max_headers: default_max_headers(),
        }
    }

    /// What `retry.on` is where it is not written.
    pub(super) fn retried() -> Vec<RetryOn> {
        vec![RetryOn::Connect]
    }

    /// The outbound entry that does the same, but for what only this role has.
    pub fn entry(&self) -> Entry {
        let to = To::from(self.to.clone());
        Entry {
            discover: Some(to.discovery(None)),
            host: self.host,
            timeout: self.timeout.clone(),
            retry: self.retry.clone(),
            limit: self.limit.clone(),
            inject: self.inject.clone(),
            mirror: self.mirror.clone(),
            paths: self.paths.clone(),
            health: self.health.clone(),
            send_proxy: self.send_proxy,
            pool: self.pool.clone(),
            max_headers: self.max_headers,
            ..Entry::new(self.listen.0, to)
        }
    }
}

/// Where an inbound listener waits for connections: as a [`ListenAddress`] is written, or `:8443` for every
/// address of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboundAddress(pub ListenAddress);

impl fmt::Display for InboundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.host {
            ListenHost::All => write!(f, ":{}", self.0.port),
            _ => self.0.fmt(f),
        }
    }
}

impl FromStr for InboundAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix(':') {
            Some(port) if !port.contains(':') => format!("*:{port}").parse().map(Self),
            _ if text.parse::<u16>().is_ok() => {
                let help = format!("write `:{text}` for every address, or `localhost:{text}`");
                let message = format!("`{text}` is not an address to listen on");
                Err(Invalid::new(message, help))
            }
            _ => text.parse().map(Self),
        }
    }
}

impl Written for InboundAddress {
    const WHAT: &'static str = "an address to listen on";
    const SCHEMA: &'static str = "InboundAddress";
    const DESCRIPTION: &'static str = "A host and a port. The host is an IP address (IPv6 in brackets), \
        `localhost` for both loopback addresses, or none or `*` for every address; port 0 takes a free one.";
    const PATTERN: &'static str = r"(?:localhost|\*|[0-9.]+|\[[0-9A-Fa-f:.%]+\])?:[0-9]{1,5}";
    const EXAMPLES: &'static [&'static str] = &[":8443", "localhost:8080", "[::1]:8080"];
}

written!(InboundAddress);
