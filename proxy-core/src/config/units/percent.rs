//! A share of a whole, written `20%`.

use std::{fmt, str::FromStr};

use super::quantity::{bare, split, too_large};
use crate::config::written::{Invalid, Written, written};

/// A share from 0 to 100 in whole percent, written `20%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    percent: u8,
}

impl Percent {
    /// So many percent; more than 100 is cut to 100.
    pub const fn new(percent: u8) -> Self {
        Self {
            percent: if percent > 100 { 100 } else { percent },
        }
    }

    /// The share in percent, 0 to 100.
    pub const fn percent(self) -> u8 {
        self.percent
    }

    /// The share as a fraction, 0.0 to 1.0.
    pub fn fraction(self) -> f64 {
        f64::from(self.percent) / 100.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)
    }
}

impl FromStr for Percent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split(text, Self::WHAT, "20%")?;
        match (unit, u8::try_from(number)) {
            ("", _) => Err(bare(text, Self::WHAT, "%")),
            ("%", Ok(percent @ 0..=100)) => Ok(Self { percent }),
            ("%", _) => Err(too_large(text, Self::WHAT, "`100%`")),
            _ => {
                let help = format!("write `{number}%`");
                Err(Invalid::new(
                    format!("`{text}` is not {}", Self::WHAT),
                    help,
                ))
            }
        }
    }
}

impl Written for Percent {
    const WHAT: &'static str = "a percentage";
    const SCHEMA: &'static str = "Percent";
    const DESCRIPTION: &'static str = "A whole number from 0 to 100 with the unit `%`.";
    const PATTERN: &'static str = "(?:[0-9]{1,2}|100)%";
    const EXAMPLES: &'static [&'static str] = &["20%", "50%"];
}

written!(Percent);
