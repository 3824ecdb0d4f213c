//! A number of events a second, written `10/s`.

use std::{fmt, str::FromStr};

use super::quantity::{bare, split, too_large};
use crate::config::written::{Invalid, Written, written};

/// A whole number of events a second, written `10/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    per_second: u32,
}

impl Rate {
    /// So many events a second.
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second }
    }

    /// The events in each second.
    pub const fn in_a_second(self) -> u32 {
        self.per_second
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)
    }
}

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split(text, Self::WHAT, "10/s")?;
        match (unit, u32::try_from(number)) {
            ("", _) => Err(bare(text, Self::WHAT, "/s")),
            ("/s", Ok(per_second)) => Ok(Self { per_second }),
            ("/s", Err(_)) => Err(too_large(text, Self::WHAT, "`4294967295/s`")),
            _ => {
                let help = format!("rates are counted by the second, like `{number}/s`");
                Err(Invalid::new(
                    format!("`{text}` is not {}", Self::WHAT),
                    help,
                ))
            }
        }
    }
}

impl Written for Rate {
    const WHAT: &'static str = "a rate";
    const SCHEMA: &'static str = "Rate";
    const DESCRIPTION: &'static str = "A whole number of events a second, with the unit `/s`.";
    const PATTERN: &'static str = "[0-9]+/s";
    const EXAMPLES: &'static [&'static str] = &["10/s", "500/s"];
}

written!(Rate);
