//! An amount of bytes, written `1024B`, `64KiB`, `10MiB` or `1GiB`.

use std::{fmt, str::FromStr};

use super::quantity::{bare, split, too_large};
use crate::config::written::{Invalid, Written, written};

/// An amount of bytes, less than 2^63.
///
/// Written as a whole number with one of the units `B`, `KiB`, `MiB`, `GiB`, all powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    bytes: u64,
}

impl Size {
    const MOST: u64 = i64::MAX as u64;

    /// So many bytes; 2^63 and more are cut to the largest size.
    pub const fn from_bytes(bytes: u64) -> Self {
        let bytes = if bytes > Self::MOST {
            Self::MOST
        } else {
            bytes
        };
        Self { bytes }
    }

    /// So many times 1024 bytes.
    pub const fn from_kib(kib: u64) -> Self {
        Self::from_bytes(kib.saturating_mul(1024))
    }

    /// The amount in bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// The amount in bytes as a length in memory; the largest `usize` where it does not fit.
    pub fn len(self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// Whether the amount is no byte at all.
    pub const fn is_empty(self) -> bool {
        self.bytes == 0
    }
}

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes == 0 {
            return f.write_str("0B");
        }
        let whole = UNITS
            .iter()
            .find(|(_, bytes)| self.bytes.is_multiple_of(*bytes));
        let (unit, bytes) = whole.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.bytes / bytes)
    }
}

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split(text, Self::WHAT, "64KiB")?;
        if unit.is_empty() {
            return Err(bare(text, Self::WHAT, "B"));
        }
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(Invalid::new(
                format!("unknown unit of size in `{text}`"),
                unit_help(number, unit),
            ));
        };
        match number.checked_mul(*bytes) {
            Some(bytes) if bytes <= Self::MOST => Ok(Self { bytes }),
            _ => Err(too_large(text, Self::WHAT, "`8589934591GiB`")),
        }
    }
}

/// Names the unit that was meant, when the first letter tells it.
fn unit_help(number: u64, unit: &str) -> String {
    let meant = match unit.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'k') => "KiB",
        Some(b'm') => "MiB",
        Some(b'g') => "GiB",
        Some(b'b') => "B",
        _ => return "the units are `B`, `KiB`, `MiB` and `GiB`".to_owned(),
    };
    format!("write `{number}{meant}`; the units are `B`, `KiB`, `MiB` and `GiB`")
}

impl Written for Size {
    const WHAT: &'static str = "a size";
    const SCHEMA: &'static str = "Size";
    const DESCRIPTION: &'static str =
        "A whole number with a unit: `B`, `KiB`, `MiB` or `GiB`, powers of 1024.";
    const PATTERN: &'static str = "[0-9]+(?:B|KiB|MiB|GiB)";
    const EXAMPLES: &'static [&'static str] = &["64KiB", "10MiB", "1024B"];
}

written!(Size);
