//! What can be said of a path apart from its entry, and the policies that are off unless asked for.

use std::{fmt, str::FromStr};

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use super::{Count, Duration, Invalid, Mirror, OrOff, Percent, Retry};

/// What holds for the requests of a path instead of what the entry says. What is not written here
/// is as for the entry; `retry`, `hedge`, `inject` and `mirror` replace the entry's as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of policies"
)]
pub struct PathPolicy {
    /// How long requests and tries may take.
    pub timeout: PathTimeouts,
    /// When and how often a failed try is repeated, or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "OrOff<Retry>"))]
    pub retry: Option<OrOff<Retry>>,
    /// When a second try is sent beside a slow one, or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "OrOff<Hedge>"))]
    pub hedge: Option<OrOff<Hedge>>,
    /// Faults that are made on purpose, or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "OrOff<Inject>"))]
    pub inject: Option<OrOff<Inject>>,
    /// Where copies of requests go, or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "OrOff<Mirror>"))]
    pub mirror: Option<OrOff<Mirror>>,
}

/// The timeouts that a path may have of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of timeouts"
)]
pub struct PathTimeouts {
    /// As `timeout.request` of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "OrOff<Duration>"))]
    pub request: Option<OrOff<Duration>>,
    /// As `timeout.try` of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "OrOff<Duration>"))]
    pub r#try: Option<OrOff<Duration>>,
}

/// How much an entry lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of limits"
)]
pub struct Limit {
    /// The most requests at once, up to the end of their responses: a number from 1 to 1000000,
    /// `adaptive` or `off`. Further ones get 503 at once. Default: `off`.
    pub in_flight: InFlight,
}

/// The most requests at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InFlight {
    /// No limit.
    #[default]
    Off,
    /// So many.
    Fixed(Count<1, 1_000_000>),
    /// As many as are answered without getting slower.
    Adaptive,
}

/// When a second try is sent beside one that has no response head yet. Requests without a body and
/// of a method that may be repeated are hedged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map or `off`"
)]
pub struct Hedge {
    /// How long the first try is waited for. Default: `100ms`.
    pub after: Duration,
    /// Second tries as a share of requests; it is a rate, as that of `retry.budget`, and its own.
    /// Default: `5%`.
    pub budget: Percent,
}

impl Default for Hedge {
    fn default() -> Self {
        Self {
            after: Duration::from_millis(100),
            budget: Percent::new(5),
        }
    }
}

/// Faults that are made on purpose, to see what the workload makes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map or `off`"
)]
pub struct Inject {
    /// Requests that wait before they are sent, or `off`. Default: `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Delay"))]
    pub delay: Option<Delay>,
    /// Requests that are answered instead of being sent. Default: `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Abort"))]
    pub abort: Option<Abort>,
}

/// Requests that wait before they are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "`{share: 10%, for: 1s}`"
)]
pub struct Delay {
    /// Which share of the requests.
    pub share: Percent,
    /// How long they wait; `timeout.request` counts meanwhile.
    pub r#for: Duration,
}

/// Requests that are answered instead of being sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "`{share: 10%, status: 503}`"
)]
pub struct Abort {
    /// Which share of the requests.
    pub share: Percent,
    /// The status of the answer, 400 to 599. Default: 503.
    #[serde(default = "unavailable")]
    pub status: Count<400, 599>,
}

const fn unavailable() -> Count<400, 599> {
    Count::clamped(503)
}

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Fixed(count) => count.fmt(f),
            Self::Adaptive => f.write_str("adaptive"),
        }
    }
}

impl FromStr for InFlight {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "off" => Ok(Self::Off),
            "adaptive" => Ok(Self::Adaptive),
            number => number
                .parse()
                .map(Self::Fixed)
                .map_err(|invalid: Invalid| Invalid {
                    help: format!("{}, `adaptive` or `off`", invalid.help),
                    ..invalid
                }),
        }
    }
}

impl Serialize for InFlight {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(count) => count.serialize(to),
            word => to.collect_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for InFlight {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFlightVisitor)
    }
}

#[cfg(test)]
impl JsonSchema for InFlight {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InFlight".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The most requests at once: a number, `adaptive` or `off`.",
            "anyOf": [
                {"enum": ["off", "adaptive"]},
                generator.subschema_for::<Count<1, 1_000_000>>(),
            ],
        })
    }
}

struct InFlightVisitor;

impl Visitor<'_> for InFlightVisitor {
    type Value = InFlight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 1 to 1000000, `adaptive` or `off`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<InFlight, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<InFlight, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<InFlight, E> {
        self.visit_str(&number.to_string())
    }
}
