//! How the endpoints of an entry are found: a word, or `{file: PATH}`.

use std::fmt;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
    ser::SerializeMap,
};

/// How the endpoints of an entry are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discover {
    /// The A and AAAA records of each name; addresses are taken as they are.
    Dns,
    /// The SRV records of each name (RFC 2782): hosts, ports, priorities and weights.
    Srv,
    /// The variables `NAME_SERVICE_HOST` and `NAME_SERVICE_PORT` that Kubernetes gives each pod.
    Env,
    /// The addresses in `to`, which must all be IP addresses.
    Static,
    /// The lines of a file, which is watched.
    File(String),
}

const WORDS: &[&str] = &["dns", "srv", "env", "static"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{file: PATH}`")]
struct InFile {
    file: String,
}

impl Serialize for Discover {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dns => to.serialize_str("dns"),
            Self::Srv => to.serialize_str("srv"),
            Self::Env => to.serialize_str("env"),
            Self::Static => to.serialize_str("static"),
            Self::File(path) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("file", path)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Discover {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(DiscoverVisitor)
    }
}

struct DiscoverVisitor;

impl<'de> Visitor<'de> for DiscoverVisitor {
    type Value = Discover;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`dns`, `srv`, `env`, `static` or `{file: PATH}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Discover, E> {
        match text {
            "dns" => Ok(Discover::Dns),
            "srv" => Ok(Discover::Srv),
            "env" => Ok(Discover::Env),
            "static" => Ok(Discover::Static),
            _ => Err(E::unknown_variant(text, WORDS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Discover, A::Error> {
        let InFile { file } = InFile::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Discover::File(file))
    }
}

#[cfg(test)]
impl JsonSchema for Discover {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Discover".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How the endpoints of an entry are found.",
            "anyOf": [
                {"enum": WORDS},
                {
                    "type": "object",
                    "properties": {"file": {"type": "string"}},
                    "required": ["file"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
