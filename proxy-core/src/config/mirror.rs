//! Where copies of requests go: mirroring, also called traffic shadowing.

use serde::{Deserialize, Serialize};

use super::{Discover, Percent, Tls, To};

/// Where copies of requests go, and of how many. Their answers are read and thrown away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `to`, or `off`"
)]
pub struct Mirror {
    /// Where copies go: a URL, or a list of URLs of one scheme, which is `http`, `h2c` or `https`.
    pub to: To,
    /// Which share of the requests is copied. Default: `100%`.
    #[serde(default = "all")]
    pub share: Percent,
    /// How the endpoints are found. Default: `dns` if a host of `to` is a name, else `static`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Discover"))]
    pub discover: Option<Discover>,
    /// How a mirror of `https` is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Tls"))]
    pub tls: Option<Tls>,
}

const fn all() -> Percent {
    Percent::new(100)
}
