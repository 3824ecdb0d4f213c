//! What a retry depends on: the way a try failed, and the method of its request.

use std::{fmt, str::FromStr};

use super::written::{Invalid, Written, written};

/// A way in which a try fails that permits another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// No connection was made, so nothing was sent.
    Connect,
    /// The connection ended before the response began.
    Reset,
    /// The try ran into its timeout before the response began.
    Timeout,
    /// A gRPC response with the status 14, UNAVAILABLE.
    Unavailable,
    /// A response with one of these HTTP statuses.
    Status(StatusRange),
}

/// HTTP statuses from `first` to `last`, both included, written `503`, `502-504` or `5xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// The statuses from `first` to `last`; `None` unless 100 <= first <= last <= 599.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first < 100 || last > 599 || first > last {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// The lowest status.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest status.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether the status is one of these.
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        match (first, last) {
            _ if first == last => write!(f, "{first}"),
            _ if first % 100 == 0 && *last == first + 99 => write!(f, "{}xx", first / 100),
            _ => write!(f, "{first}-{last}"),
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Status(range) => range.fmt(f),
        }
    }
}

impl FromStr for RetryOn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "connect" => return Ok(Self::Connect),
            "reset" => return Ok(Self::Reset),
            "timeout" => return Ok(Self::Timeout),
            "unavailable" => return Ok(Self::Unavailable),
            _ => {}
        }
        let bounds = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(hundred), _) => status(&format!("{hundred}00")).map(|first| (first, first + 99)),
            (None, Some((first, last))) => status(first).zip(status(last)),
            (None, None) => status(text).map(|only| (only, only)),
        };
        match bounds {
            None => {
                let help = "use `connect`, `reset`, `timeout`, `unavailable`, or a status such as `503`, `502-504`, `5xx`";
                Err(Invalid::new(
                    format!("`{text}` is no reason for a retry"),
                    help,
                ))
            }
            Some((first, last)) => {
                StatusRange::new(first, last)
                    .map(Self::Status)
                    .ok_or_else(|| {
                        let help = "statuses run from 100 to 599, the lower one first";
                        Invalid::new(format!("`{text}` is not a range of statuses"), help)
                    })
            }
        }
    }
}

/// Reads three digits.
fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl Written for RetryOn {
    const WHAT: &'static str = "a reason for a retry";
    const SCHEMA: &'static str = "RetryOn";
    const DESCRIPTION: &'static str = "`connect`, `reset`, `timeout`, `unavailable` (gRPC status 14), or HTTP \
        statuses: one, a range, or a hundred.";
    const PATTERN: &'static str =
        "connect|reset|timeout|unavailable|[1-5][0-9]{2}(?:-[1-5][0-9]{2})?|[1-5]xx";
    const EXAMPLES: &'static [&'static str] = &["connect", "reset", "502-504", "5xx"];
}

/// An HTTP method in upper case (RFC 9110, section 9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Method(pub http::Method);

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for Method {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let upper = text.to_ascii_uppercase();
        match http::Method::from_bytes(text.as_bytes()) {
            Ok(method) if upper == text => Ok(Self(method)),
            Ok(_) => Err(Invalid::new(
                format!("`{text}` is not in upper case"),
                format!("write `{upper}`"),
            )),
            Err(_) => Err(Invalid::new(
                format!("`{text}` is not an HTTP method"),
                "write one like `GET`",
            )),
        }
    }
}

impl Written for Method {
    const WHAT: &'static str = "an HTTP method";
    const SCHEMA: &'static str = "Method";
    const DESCRIPTION: &'static str = "An HTTP method in upper case.";
    const PATTERN: &'static str = "[!#$%&'*+.^_`|~0-9A-Z-]+";
    const EXAMPLES: &'static [&'static str] = &["GET", "PUT"];
}

written!(Method);

/// A single status is a number in YAML, everything else is text.
impl serde::Serialize for RetryOn {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Status(StatusRange { first, last }) if first == last => to.serialize_u16(*first),
            other => to.collect_str(other),
        }
    }
}

impl<'de> serde::Deserialize<'de> for RetryOn {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        super::written::deserialize(from)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for RetryOn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        super::written::schema_name_of::<Self>()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [
            super::written::schema_of::<Self>(),
            {"type": "integer", "minimum": 100, "maximum": 599, "description": "One HTTP status."},
        ]})
    }
}
