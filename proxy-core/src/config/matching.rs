//! What a route asks of headers and of the query, besides its key.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::HeaderName;
use super::written::{Invalid, Written, written};

/// What a request must have for the route, besides what its key says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `headers` or `query`"
)]
pub struct When {
    /// Header fields and their values.
    pub headers: BTreeMap<HeaderName, ValueMatch>,
    /// Parameters of the query and their values, decoded.
    pub query: BTreeMap<String, ValueMatch>,
}

impl When {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty()
    }
}

/// What a value must be: a text, or `~` and a regular expression that it matches as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueMatch {
    /// This text.
    Exact(String),
    /// A text that the expression matches.
    Regex(String),
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

impl From<&str> for ValueMatch {
    fn from(text: &str) -> Self {
        match text.strip_prefix('~') {
            Some(regex) => Self::Regex(regex.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }
}

impl FromStr for ValueMatch {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(text.into())
    }
}

impl Written for ValueMatch {
    const WHAT: &'static str = "a value";
    const SCHEMA: &'static str = "ValueMatch";
    const DESCRIPTION: &'static str =
        "A text, or `~` and a regular expression that the value matches as a whole.";
    const PATTERN: &'static str = ".*";
    const EXAMPLES: &'static [&'static str] = &["beta", "~[0-9]+"];
}

written!(ValueMatch);
