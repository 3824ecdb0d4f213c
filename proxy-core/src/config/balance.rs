//! How an endpoint is picked for a try: a word, or `{hash: ...}` with what the hash is taken of.

use std::{fmt, str::FromStr};

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
    ser::SerializeMap,
};

use super::written::{Invalid, Written, written};

/// How an endpoint is picked for a try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Balance {
    /// The less loaded of two picked at random ("power of two choices").
    #[default]
    P2c,
    /// The one with the fewest requests in flight, of up to eight.
    Least,
    /// One after the other.
    RoundRobin,
    /// The same one for the same key, by a consistent hash with bounded load.
    Hash(HashOn),
}

/// What the key of a request is. A request without it is sent as by `p2c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The value of a field.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The address of whoever sends the request.
    Source,
}

/// The name of a field (RFC 9110, 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderName(pub http::HeaderName);

/// By the text, as it is shown.
impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for HeaderName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        http::HeaderName::from_bytes(text.as_bytes())
            .map(Self)
            .map_err(|_| {
                let message = format!("`{text}` is not the name of a header");
                Invalid::new(message, "write one like `x-user`")
            })
    }
}

impl Written for HeaderName {
    const WHAT: &'static str = "the name of a header";
    const SCHEMA: &'static str = "HeaderName";
    const DESCRIPTION: &'static str = "The name of a header, in any case.";
    const PATTERN: &'static str = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
    const EXAMPLES: &'static [&'static str] = &["x-user", "authorization"];
}

written!(HeaderName);

/// What is written as one word, for the JSON schema.
#[cfg(test)]
const WORDS: &[&str] = &["p2c", "least", "round-robin"];
const TOLD: &[&str] = &[
    "p2c",
    "least",
    "round-robin",
    "{hash: {header: NAME}}",
    "{hash: {cookie: NAME}}",
    "{hash: source}",
];
const KEYS: &[&str] = &["{header: NAME}", "{cookie: NAME}", "source"];

impl Serialize for Balance {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::P2c => to.serialize_str("p2c"),
            Self::Least => to.serialize_str("least"),
            Self::RoundRobin => to.serialize_str("round-robin"),
            Self::Hash(on) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("hash", on)?;
                map.end()
            }
        }
    }
}

impl Serialize for HashOn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Source => to.serialize_str("source"),
            Self::Header(name) => one(to, "header", name.0.as_str()),
            Self::Cookie(name) => one(to, "cookie", name),
        }
    }
}

fn one<S: Serializer>(to: S, key: &str, value: &str) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// The long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{hash: ...}`")]
struct Hashed {
    hash: HashOn,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{header: NAME}` or `{cookie: NAME}`"
)]
struct Named {
    header: Option<HeaderName>,
    cookie: Option<String>,
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(BalanceVisitor)
    }
}

struct BalanceVisitor;

impl<'de> Visitor<'de> for BalanceVisitor {
    type Value = Balance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`p2c`, `least`, `round-robin` or `{hash: ...}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Balance, E> {
        match text {
            "p2c" => Ok(Balance::P2c),
            "least" => Ok(Balance::Least),
            "round-robin" => Ok(Balance::RoundRobin),
            _ => Err(E::unknown_variant(text, TOLD)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Balance, A::Error> {
        let hashed = Hashed::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Balance::Hash(hashed.hash))
    }
}

impl<'de> Deserialize<'de> for HashOn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(HashVisitor)
    }
}

struct HashVisitor;

impl<'de> Visitor<'de> for HashVisitor {
    type Value = HashOn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{header: NAME}`, `{cookie: NAME}` or `source`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HashOn, E> {
        match text {
            "source" => Ok(HashOn::Source),
            _ => Err(E::unknown_variant(text, KEYS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HashOn, A::Error> {
        let named = Named::deserialize(MapAccessDeserializer::new(map))?;
        match (named.header, named.cookie) {
            (Some(name), None) => Ok(HashOn::Header(name)),
            (None, Some(name)) => Ok(HashOn::Cookie(name)),
            (Some(_), Some(_)) => Err(de::Error::custom(
                "a hash is taken of one thing: `header` or `cookie`",
            )),
            (None, None) => Err(de::Error::missing_field("header")),
        }
    }
}

#[cfg(test)]
impl JsonSchema for Balance {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Balance".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<HeaderName>();
        json_schema!({
            "description": "How an endpoint is picked for a try.",
            "anyOf": [
                {"enum": WORDS},
                {
                    "type": "object",
                    "properties": {"hash": {"anyOf": [
                        {"const": "source"},
                        {"type": "object", "properties": {"header": name},
                         "required": ["header"], "additionalProperties": false},
                        {"type": "object", "properties": {"cookie": {"type": "string"}},
                         "required": ["cookie"], "additionalProperties": false},
                    ]}},
                    "required": ["hash"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
