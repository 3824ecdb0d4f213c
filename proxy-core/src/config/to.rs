//! The upstreams of an entry: one URL, or a list of URLs with weights.

use std::fmt;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    Discover,
    count::Count,
    url::{Scheme, Url},
};

/// Where requests go: at least one target in every [`Document`](super::Document), all of one
/// scheme.
///
/// Written as a URL, or as a list whose items are URLs or `{to: URL, weight: N}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct To {
    /// The targets in the order of the file.
    pub targets: Vec<Target>,
}

/// One upstream and its share of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The upstream.
    pub to: Url,
    /// Its share of the load relative to the others, 1 to 1000. Default: 1.
    pub weight: Count<1, 1000>,
}

impl To {
    /// The scheme that all targets share; `None` only where there is no target.
    pub fn scheme(&self) -> Option<Scheme> {
        self.targets.first().map(|target| target.to.scheme)
    }

    /// How the endpoints are found: as written, else `dns` if a host is a name, else `static`.
    pub(super) fn discovery(&self, written: Option<&Discover>) -> Discover {
        let named = || self.targets.iter().any(|target| target.to.host.is_name());
        match written {
            Some(written) => written.clone(),
            None if named() => Discover::Dns,
            None => Discover::Static,
        }
    }
}

impl From<Url> for To {
    fn from(to: Url) -> Self {
        Self {
            targets: vec![Target::from(to)],
        }
    }
}

impl From<Url> for Target {
    fn from(to: Url) -> Self {
        Self {
            to,
            weight: default_weight(),
        }
    }
}

const fn default_weight() -> Count<1, 1000> {
    Count::clamped(1)
}

/// The long form of a target in the file.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a URL or `{to: URL, weight: N}`")]
#[cfg_attr(test, schemars(rename = "WeightedTarget"))]
struct Weighted {
    /// The upstream.
    to: Url,
    /// Its share of the load relative to the others, 1 to 1000.
    #[serde(default = "default_weight")]
    weight: Count<1, 1000>,
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.weight == default_weight() {
            return self.to.serialize(to);
        }
        Weighted {
            to: self.to.clone(),
            weight: self.weight,
        }
        .serialize(to)
    }
}

impl Serialize for To {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.targets.as_slice() {
            [one] if one.weight == default_weight() => one.serialize(to),
            all => all.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TargetVisitor)
    }
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ToVisitor)
    }
}

#[cfg(test)]
impl JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One upstream: a URL, or a URL with a weight.",
            "anyOf": [generator.subschema_for::<Url>(), generator.subschema_for::<Weighted>()],
        })
    }
}

#[cfg(test)]
impl JsonSchema for To {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "To".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where requests go: a URL, or a list of URLs of one scheme.",
            "anyOf": [
                generator.subschema_for::<Url>(),
                {"type": "array", "items": generator.subschema_for::<Target>(), "minItems": 1},
            ],
        })
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL or `{to: URL, weight: N}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
        text.parse::<Url>().map(Target::from).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Target, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        let Weighted { to, weight } = Weighted::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Target { to, weight })
    }
}

struct ToVisitor;

impl<'de> Visitor<'de> for ToVisitor {
    type Value = To;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL or a list of URLs")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<To, E> {
        Url::deserialize(text.into_deserializer()).map(To::from)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<To, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<To, A::Error> {
        let mut targets = Vec::new();
        while let Some(target) = items.next_element()? {
            targets.push(target);
        }
        Ok(To { targets })
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<To, A::Error> {
        let help = "write a URL, or a list: `[{to: URL, weight: N}]`";
        Err(de::Error::custom(format!(
            "a map stands where a URL or a list of URLs belongs; {help}"
        )))
    }
}
