//! What serde says when a value does not fit, with the node that it says it of.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::node::NodeId;
use crate::config::errors::{listing, nearest};

/// A value that does not fit its type.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: What,
    /// The innermost node around the mistake.
    pub(super) at: Option<NodeId>,
}

/// The kinds of misfit that are treated differently.
#[derive(Debug)]
pub(super) enum What {
    /// A map has a key that is not one of those allowed.
    UnknownKey {
        key: String,
        allowed: &'static [&'static str],
    },
    /// A map lacks a key.
    MissingKey { key: &'static str },
    /// A value is wrong in itself.
    Value { message: String, help: String },
}

impl Failure {
    fn new(what: What) -> Self {
        Self { what, at: None }
    }

    fn value(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(What::Value {
            message: message.into(),
            help: help.into(),
        })
    }

    /// Names the node, unless a node further in was named before.
    pub(super) fn at(mut self, id: NodeId) -> Self {
        self.at.get_or_insert(id);
        self
    }

    /// The known key that an unknown one was probably meant to be.
    pub(super) fn meant(&self) -> Option<&'static str> {
        match self.what {
            What::UnknownKey { ref key, allowed } => nearest(key, allowed),
            What::MissingKey { .. } | What::Value { .. } => None,
        }
    }

    /// The message and the help for the operator.
    pub(super) fn texts(&self) -> (String, String) {
        match &self.what {
            What::UnknownKey { key, allowed } => {
                let help = match self.meant() {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the keys here are {}", listing(allowed, "and")),
                };
                (format!("unknown key `{key}`"), help)
            }
            What::MissingKey { key } => (
                format!("missing key `{key}`"),
                format!("add `{key}: ...` below this"),
            ),
            What::Value { message, help } => (message.clone(), help.clone()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, help) = self.texts();
        write!(f, "{message}; {help}")
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    /// A text `message; help` is split again, at the first `; ` that is not in backticks.
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        let mut quoted = false;
        let split = text.char_indices().find(|(at, c)| {
            quoted ^= *c == '`';
            !quoted && text[*at..].starts_with("; ")
        });
        match split {
            Some((at, _)) => Self::value(&text[..at], &text[at + 2..]),
            None => Self::value(text, ""),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string().replace("a sequence", "a list");
        let may_be_off = expected.contains("`off`");
        let is_map = expected.starts_with("a map") && !expected.contains('{');
        let has_defaults = is_map && expected != "a map" && !expected.starts_with("a map with ");
        let is_number = expected.contains("number") || expected.contains("integer");
        let help = match found {
            // YAML 1.1 takes these for truth values, and tools that write it may have made them so.
            Unexpected::Str("no" | "false" | "off") | Unexpected::Bool(false) if may_be_off => {
                "write `off`".to_owned()
            }
            Unexpected::Str("on" | "yes" | "true") | Unexpected::Bool(true) if has_defaults => {
                "write a map, such as `{}` for the defaults".to_owned()
            }
            Unexpected::Str("no" | "off") if expected == "a boolean" => "write `false`".to_owned(),
            Unexpected::Str("yes" | "on") if expected == "a boolean" => "write `true`".to_owned(),
            Unexpected::Str("off" | "none") if expected == "a list" => "write `[]`".to_owned(),
            Unexpected::Str(text) if expected == "a list" => format!("write `[{text}]`"),
            Unexpected::Str(text) if is_number && text.parse::<f64>().is_ok() => {
                format!("write it without quotes: `{text}`")
            }
            _ if is_map && may_be_off => "write its keys below it, or `off`".to_owned(),
            _ if is_map => "write its keys below it, or as `{KEY: VALUE}`".to_owned(),
            _ => String::new(),
        };
        Self::value(
            format!("expected {expected}, found {}", found_words(found)),
            help,
        )
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        let help = match nearest(found, allowed) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the values here are {}", listing(allowed, "and")),
        };
        Self::value(format!("unknown value `{found}`"), help)
    }

    fn unknown_field(key: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey {
            key: key.to_owned(),
            allowed,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::MissingKey { key })
    }
}

fn found_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("the number `{number}`"),
        Unexpected::Signed(number) => format!("the number `{number}`"),
        Unexpected::Float(number) => format!("the number `{number}`"),
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}
