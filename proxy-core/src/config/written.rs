//! Values that are written as one scalar: text in, text out, a reason when the text is wrong.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::de::{self, Deserializer, Visitor};

/// Why a scalar is not the value that belongs in its place, and what to write instead.
///
/// It displays as `message; help`, the form that [`parse`](super::parse) splits again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Invalid {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { message, help }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for Invalid {}

/// A value of one scalar, as the file, the flags and the JSON schema see it.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the JSON schema is derived in tests")
)]
pub(crate) trait Written: FromStr<Err = Invalid> + fmt::Display {
    /// What the value is, with its article: `a duration`.
    const WHAT: &'static str;
    /// The name of the type in the JSON schema.
    const SCHEMA: &'static str;
    /// One sentence for the JSON schema: the grammar, with its units and limits.
    const DESCRIPTION: &'static str;
    /// The grammar as an unanchored regular expression.
    const PATTERN: &'static str;
    /// Texts that are valid, for the JSON schema and for the help of errors.
    const EXAMPLES: &'static [&'static str];
    /// Whether `${NAME}` may stand in its place.
    const VARIABLE: bool = true;
}

/// Reads a scalar of any YAML type through the `FromStr` of the value, so that a bare number is
/// answered by the grammar of the value and not by a type error.
pub(crate) fn deserialize<'de, T: Written, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_str(TextVisitor(PhantomData))
}

/// The JSON schema of a value of one scalar; a text with `${...}` is accepted as it stands.
#[cfg(test)]
pub(crate) fn schema_of<T: Written>() -> schemars::Schema {
    let variable = if T::VARIABLE { r"|.*\$\{.+\}.*" } else { "" };
    schemars::json_schema!({
        "type": "string",
        "description": T::DESCRIPTION,
        "pattern": format!("^(?:(?:{}){variable})$", T::PATTERN),
        "examples": T::EXAMPLES,
    })
}

/// The name of a value of one scalar in the JSON schema.
#[cfg(test)]
pub(crate) fn schema_name_of<T: Written>() -> std::borrow::Cow<'static, str> {
    std::borrow::Cow::Borrowed(T::SCHEMA)
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} such as `{}`", T::WHAT, T::EXAMPLES[0])
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
}

/// Implements `Serialize`, `Deserialize` and, in tests, `JsonSchema` for types that are [`Written`].
macro_rules! written {
    ($($type:ty),+ $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::config::written::deserialize(from)
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $crate::config::written::schema_name_of::<Self>()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::config::written::schema_of::<Self>()
            }
        }
    )+};
}

pub(crate) use written;
