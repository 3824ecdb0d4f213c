//! One entry of the edge role: a listener, and routes from what is asked to who answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Compress, Forwarded, Hsts, InboundAddress, InboundTls, Lead, OrOff, ProxyProtocol, RouteKey,
    Size, Timeouts, To, entry::default_max_headers,
};

/// One entry of the edge role. `listen` is required, and `routes` or `passthrough`; every other key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `listen` and `routes`"
)]
pub struct Gateway {
    /// Where clients connect to. `:443` is every address.
    pub listen: InboundAddress,
    /// Who connects with a header of the PROXY protocol, and nobody else then, or `off`. Default: `off`.
    #[serde(default = "OrOff::<ProxyProtocol>::off")]
    pub proxy_protocol: OrOff<ProxyProtocol>,
    /// How clients are spoken to inside TLS; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "InboundTls"))]
    pub tls: Option<InboundTls>,
    /// Where TLS goes as it comes, by the name that the client asks for (SNI): a name or `*.name`, and
    /// URLs of `tcp`. Such connections are not decrypted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passthrough: BTreeMap<String, To>,
    /// Who answers what. Of all routes that a request fits the most specific one is taken: by host, path, method,
    /// headers and query, in this order, as in Gateway API.
    #[serde(default)]
    pub routes: BTreeMap<RouteKey, Lead>,
    /// What upstreams are told of who called, or `off`: then what came is passed on.
    #[serde(default)]
    pub forwarded: OrOff<Forwarded>,
    /// What browsers are told about TLS, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Hsts>::off")]
    pub hsts: OrOff<Hsts>,
    /// Which responses are compressed, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Compress>::off")]
    pub compress: OrOff<Compress>,
    /// Pages in place of our own failures: a status such as `404`, or `502-504`, and a file of at most 1 MiB.
    #[serde(default)]
    pub errors: BTreeMap<String, String>,
    /// What holds for connections of clients: `idle`. The other times are those of routes.
    #[serde(default)]
    pub timeout: ClientTimeouts,
    /// The most that the header section of a request may take, `1KiB` to `1MiB`. Default: `64KiB`.
    #[serde(default = "default_max_headers")]
    pub max_headers: Size,
}

/// The times of a client's connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `idle`"
)]
pub struct ClientTimeouts {
    /// How long a connection may be without a byte, or `off`. Default: `5m`.
    pub idle: OrOff<super::Duration>,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            idle: Timeouts::default().idle,
        }
    }
}

impl Gateway {
    /// An entry with every default and no route.
    pub fn new(listen: InboundAddress) -> Self {
        Self {
            listen,
            proxy_protocol: OrOff::Off,
            tls: None,
            passthrough: BTreeMap::new(),
            routes: BTreeMap::new(),
            forwarded: OrOff::default(),
            hsts: OrOff::Off,
            compress: OrOff::Off,
            errors: BTreeMap::new(),
            timeout: ClientTimeouts::default(),
            max_headers: default_max_headers(),
        }
    }
}
