//! How upstreams of `https` and `tls` are spoken to: whom we trust, who we are, what is offered.

use serde::{Deserialize, Serialize};

/// TLS towards the upstream. Files are followed: what is written anew holds for new connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of TLS settings"
)]
pub struct Tls {
    /// The file with the certificates of the authorities that are trusted, in PEM. Default: those of
    /// the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub ca: Option<String>,
    /// The file with our own certificate and its chain, in PEM, for upstreams that ask for one; goes
    /// with `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub cert: Option<String>,
    /// The file with the key of `cert`, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub key: Option<String>,
    /// The name that is asked for (SNI) and that the upstream's certificate must bear. Default: the
    /// host of `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub name: Option<String>,
    /// The SPIFFE ID that the upstream's certificate must bear instead of a name, such as
    /// `spiffe://cluster.local/ns/default/sa/users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub spiffe: Option<String>,
    /// The versions of HTTP that are offered (ALPN, RFC 7301); HTTP/2 goes first.
    /// Default: `[h2, http/1.1]`.
    pub alpn: Vec<Alpn>,
}

/// A version of HTTP as ALPN names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Alpn {
    /// HTTP/2.
    #[serde(rename = "h2")]
    Http2,
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            ca: None,
            cert: None,
            key: None,
            name: None,
            spiffe: None,
            alpn: vec![Alpn::Http2, Alpn::Http1],
        }
    }
}
