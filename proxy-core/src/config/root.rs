//! The whole file: the settings of the process and one section a role.

use std::{collections::BTreeMap, fmt, str::FromStr};

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny, Visitor},
};

#[cfg(feature = "gateway")]
use super::Gateway;
use super::{
    Count, DnsServer, Duration, Entry, EntryName, Inbound, Invalid, ListenAddress, OrOff, Section,
};

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of settings"
)]
pub struct Config {
    /// Where the admin interface listens, or `off`. Default: `localhost:15000`, of the sidecar
    /// `localhost:15010`, of the ingress `localhost:15030`.
    pub admin: OrOff<ListenAddress>,
    /// How many threads serve: `auto` (the CPUs that the cgroup allows) or 1 to 1024.
    /// Default: `auto`.
    pub workers: Workers,
    /// Which requests are logged to stdout. Default: `errors`.
    pub access_log: AccessLog,
    /// Whether large bodies of HTTP/1.1 in plain text go from connection to connection within the kernel. Default:
    /// `true`.
    pub splice: bool,
    /// Who may ask, with `x-remora-explain`, what happened to a request. Default: `local`.
    pub explain: Explain,
    /// How the process ends.
    pub drain: Drain,
    /// Whom to ask for names.
    pub dns: Dns,
    /// The outbound role: the entries by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ambassador: BTreeMap<EntryName, Entry>,
    /// The inbound role: the entries by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sidecar: BTreeMap<EntryName, Inbound>,
    /// The translation role's section, ignored here.
    #[serde(skip_serializing)]
    pub adapter: Ignored,
    /// The edge role: the entries by name.
    #[cfg(feature = "gateway")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ingress: BTreeMap<EntryName, Gateway>,
    /// The edge role's section, which this build passes over.
    #[cfg(not(feature = "gateway"))]
    #[serde(skip_serializing)]
    pub ingress: Ignored,
}

impl Config {
    /// The configuration of a role without an entry.
    pub fn of(section: Section) -> Self {
        Self {
            admin: OrOff::On(section.admin()),
            workers: Workers::default(),
            access_log: AccessLog::default(),
            splice: true,
            explain: Explain::default(),
            drain: Drain {
                delay: section.drain_delay(),
                ..Drain::default()
            },
            dns: Dns::default(),
            ambassador: BTreeMap::new(),
            sidecar: BTreeMap::new(),
            adapter: Ignored,
            ingress: Default::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::of(Section::default())
    }
}

/// A section of a role that is yet to come: anything may stand in it, nothing of it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_ignored_any(IgnoredAny).map(|_| Self)
    }
}

impl Serialize for Ignored {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

#[cfg(test)]
impl JsonSchema for Ignored {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ignored".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// Who may ask what happened to a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Explain {
    /// Whoever can connect.
    All,
    /// Whoever connects from the same machine.
    #[default]
    Local,
    /// Nobody.
    Off,
}

/// How many threads serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Workers {
    /// As many as the cgroup allows CPUs.
    #[default]
    Auto,
    /// So many, 1 to 1024.
    Fixed(Count<1, 1024>),
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(count) => count.fmt(f),
        }
    }
}

impl FromStr for Workers {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Fixed)
            .map_err(|invalid: Invalid| Invalid {
                help: format!("{}, or `auto`", invalid.help),
                ..invalid
            })
    }
}

impl Serialize for Workers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str("auto"),
            Self::Fixed(count) => count.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Workers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WorkersVisitor)
    }
}

#[cfg(test)]
impl JsonSchema for Workers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Workers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`auto` for the CPUs that the cgroup allows, or a number of threads.",
            "anyOf": [{"const": "auto"}, generator.subschema_for::<Count<1, 1024>>()],
        })
    }
}

struct WorkersVisitor;

impl Visitor<'_> for WorkersVisitor {
    type Value = Workers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`auto` or a number from 1 to 1024")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Workers, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Workers, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Workers, E> {
        self.visit_str(&number.to_string())
    }
}

/// Which requests are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AccessLog {
    /// Every request.
    All,
    /// Requests that end with a status of 500 or more, a failure of the proxy's own, or an
    /// aborted exchange.
    #[default]
    Errors,
    /// None.
    Off,
}

impl FromStr for AccessLog {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "all" => Ok(Self::All),
            "errors" => Ok(Self::Errors),
            "off" => Ok(Self::Off),
            _ => Err(Invalid::new(
                format!("unknown value `{text}`"),
                "use `all`, `errors` or `off`",
            )),
        }
    }
}

/// How the process ends once it is told to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of durations"
)]
pub struct Drain {
    /// How long listeners keep accepting after readiness goes false. Default: `0s`, of the
    /// sidecar `5s`.
    pub delay: Duration,
    /// How long requests under way may take to finish after that. Default: `30s`.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Whom to ask for names, and how patiently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of settings"
)]
pub struct Dns {
    /// The name servers. Default: those of the system's `resolv.conf`, written as an empty list.
    pub servers: Vec<DnsServer>,
    /// How long one query to one server may take. Default: `2s`.
    pub timeout: Duration,
    /// How often a query is sent before it fails, 1 to 10. Default: 2.
    pub attempts: Count<1, 10>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: Count::clamped(2),
        }
    }
}
