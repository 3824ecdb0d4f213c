//! What a route does to its requests and responses besides sending them on.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::written::{Invalid, Written, written};
use super::{Count, Duration, HeaderName, Size};

/// Sends the client elsewhere. What is not written is as the client asked for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map like `{scheme: https}`"
)]
pub struct Redirect {
    /// `http` or `https`. Default: what the client came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "WebScheme"))]
    pub scheme: Option<WebScheme>,
    /// A host without a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub host: Option<String>,
    /// A port. Default: that of a `scheme` that is written, else the one that the client came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Count<1, 65535>"))]
    pub port: Option<Count<1, 65535>>,
    /// The whole path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub path: Option<String>,
    /// What stands in place of the prefix that the route's key names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub prefix: Option<String>,
    /// `301`, `302`, `303`, `307` or `308`; after the last two a client keeps the method. Default: `302`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Count<301, 308>"))]
    pub status: Option<Count<301, 308>>,
}

/// The schemes that a browser knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebScheme {
    /// Without TLS.
    Http,
    /// Inside TLS.
    Https,
}

/// Answers by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map like `{status: 404}`"
)]
pub struct Answer {
    /// The status, 200 to 599.
    pub status: Count<200, 599>,
    /// The body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub body: Option<String>,
    /// The file that holds the body, of at most 1 MiB; read when the configuration is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub file: Option<String>,
    /// What the body is. Default: `text/html; charset=utf-8` for a file whose name ends in `.html`,
    /// `application/json` for `.json`, else `text/plain; charset=utf-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "FieldValue"))]
    pub content_type: Option<FieldValue>,
}

/// Changes where a request points before it is sent on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map like `{prefix: /}`"
)]
pub struct Rewrite {
    /// What stands in place of the prefix that the route's key names; `/` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub prefix: Option<String>,
    /// The whole path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub path: Option<String>,
    /// What the upstream is told as the authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub host: Option<String>,
}

/// Changes header fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `request` or `response`"
)]
pub struct HeaderChanges {
    /// Those of requests.
    pub request: FieldChanges,
    /// Those of responses, our own included.
    pub response: FieldChanges,
}

impl HeaderChanges {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Changes the header fields of one direction. A name has one action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `set`, `add` or `remove`"
)]
pub struct FieldChanges {
    /// These have one line with this value.
    pub set: BTreeMap<HeaderName, FieldValue>,
    /// These get one more line.
    pub add: BTreeMap<HeaderName, FieldValue>,
    /// These are taken away.
    pub remove: Vec<HeaderName>,
}

/// The value of a header field: visible ASCII characters, spaces and tabs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue(pub http::HeaderValue);

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

impl FromStr for FieldValue {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        http::HeaderValue::from_str(text).map(Self).map_err(|_| {
            let message = format!("{text:?} cannot stand in a header field");
            Invalid::new(message, "write visible characters and spaces")
        })
    }
}

impl Written for FieldValue {
    const WHAT: &'static str = "the value of a header field";
    const SCHEMA: &'static str = "FieldValue";
    const DESCRIPTION: &'static str =
        "The value of a header field: visible characters, spaces and tabs.";
    const PATTERN: &'static str = r"[\t\x20-\x7e]*";
    const EXAMPLES: &'static [&'static str] = &["no-store"];
}

written!(FieldValue);

/// Which pages of other origins may call the route (CORS).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `origins`"
)]
pub struct Cors {
    /// Their origins: `https://app.example.com`, `https://*.example.com`, `*`, or `~` and a regular expression.
    pub origins: Vec<String>,
    /// Methods besides GET, HEAD and POST, or `*`. Default: none.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Request fields that they may set, or `*`. Default: none.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Response fields that they may read, or `*`. Default: none.
    #[serde(default)]
    pub expose: Vec<String>,
    /// Whether they may call with cookies and the like. Default: `false`.
    #[serde(default)]
    pub credentials: bool,
    /// How long a browser remembers the answer to a preflight. Default: the browser's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Duration"))]
    pub max_age: Option<Duration>,
}

/// What browsers are told about TLS (`Strict-Transport-Security`, RFC 6797).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map, or `off`"
)]
pub struct Hsts {
    /// How long they use TLS alone; `0s` makes them forget. Default: `8760h`.
    pub max_age: Duration,
    /// Whether that holds for the hosts below, too. Default: `false`.
    pub subdomains: bool,
    /// Whether the host may be put into the lists that browsers bring along. Default: `false`.
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(8760 * 3600),
            subdomains: false,
            preload: false,
        }
    }
}

/// Which responses are compressed, for clients that take it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map, or `off`"
)]
pub struct Compress {
    /// The codings, the preferred one first. Default: `[zstd, br, gzip]`.
    pub codings: Vec<ContentCoding>,
    /// The least length of a body. Default: `1KiB`.
    pub min_size: Size,
    /// The media types: `text/html`, `text/*`, `*+json`. Default: text, JSON, JavaScript, XML, SVG and
    /// WebAssembly, written as an empty list.
    pub types: Vec<String>,
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            codings: vec![ContentCoding::Zstd, ContentCoding::Br, ContentCoding::Gzip],
            min_size: Size::from_kib(1),
            types: Vec::new(),
        }
    }
}

/// A content coding (RFC 9110, 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ContentCoding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Br,
    /// gzip (RFC 1952).
    Gzip,
}
