//! The name of an entry, as it appears in metrics and logs.

use std::{fmt, str::FromStr};

use super::written::{Invalid, Written, written};

/// The name of an entry: lower-case letters, digits and inner dashes, at most 63 characters.
///
/// This is the label syntax of RFC 1123, section 2.1, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

impl EntryName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntryName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let wrong = if text.is_empty() {
            "the name of an entry is empty".to_owned()
        } else if text.len() > 63 {
            format!("the name `{text}` has more than 63 characters")
        } else if !text.bytes().all(inner) || text.starts_with('-') || text.ends_with('-') {
            format!("`{text}` is not a name of an entry")
        } else {
            return Ok(Self(text.to_owned()));
        };
        let help = "use lower-case letters, digits and dashes between them, at most 63 characters";
        Err(Invalid::new(wrong, help))
    }
}

impl Written for EntryName {
    const WHAT: &'static str = "a name of an entry";
    const SCHEMA: &'static str = "EntryName";
    const DESCRIPTION: &'static str =
        "Lower-case letters, digits and dashes between them, at most 63 characters.";
    const PATTERN: &'static str = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?";
    const EXAMPLES: &'static [&'static str] = &["users"];
    const VARIABLE: bool = false;
}

written!(EntryName);
