//! A span of time, written `500ms`, `5s`, `5m` or `1h`.

use std::{fmt, str::FromStr};

use super::quantity::{bare, split, too_large};
use crate::config::written::{Invalid, Written, written};

/// A span of time in whole milliseconds, at most 8760 hours (one year).
///
/// Written as a whole number with one of the units `ms`, `s`, `m`, `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    millis: u64,
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self::from_millis(0);

    const MOST: u64 = 8760 * 3_600_000;

    /// A span of so many milliseconds; more than one year is cut to one year.
    pub const fn from_millis(millis: u64) -> Self {
        let millis = if millis > Self::MOST {
            Self::MOST
        } else {
            millis
        };
        Self { millis }
    }

    /// A span of so many seconds; more than one year is cut to one year.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// The span as the standard library's type.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }

    /// Whether the span is empty.
    pub const fn is_zero(self) -> bool {
        self.millis == 0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.std()
    }
}

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0s");
        }
        let whole = UNITS
            .iter()
            .find(|(_, millis)| self.millis.is_multiple_of(*millis));
        let (unit, millis) = whole.unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", self.millis / millis)
    }
}

impl FromStr for Duration {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split(text, Self::WHAT, "5s")?;
        if unit.is_empty() {
            return Err(bare(text, Self::WHAT, "s"));
        }
        let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let help = "the units are `ms`, `s`, `m` and `h`, one to a value";
            return Err(Invalid::new(
                format!("unknown unit of time in `{text}`"),
                help,
            ));
        };
        match number.checked_mul(*millis) {
            Some(millis) if millis <= Self::MOST => Ok(Self { millis }),
            _ => Err(too_large(text, Self::WHAT, "`8760h`")),
        }
    }
}

impl Written for Duration {
    const WHAT: &'static str = "a duration";
    const SCHEMA: &'static str = "Duration";
    const DESCRIPTION: &'static str =
        "A whole number with a unit: `ms`, `s`, `m` or `h`; at most `8760h`.";
    const PATTERN: &'static str = "[0-9]+(?:ms|s|m|h)";
    const EXAMPLES: &'static [&'static str] = &["5s", "500ms", "5m", "1h"];
}

written!(Duration);
