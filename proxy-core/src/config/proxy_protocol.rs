//! The PROXY protocol on either side of an entry: who may send its header, and which one is sent.

use serde::{Deserialize, Serialize};

use super::Network;

/// Connections that begin with a header of the PROXY protocol, version 1 or 2, which says whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `from`, or `off`"
)]
pub struct ProxyProtocol {
    /// The peers that connections are accepted from, each with a header: addresses and ranges of addresses, at least
    /// one. Others are refused.
    pub from: Vec<Network>,
}

/// The versions of the header that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}
