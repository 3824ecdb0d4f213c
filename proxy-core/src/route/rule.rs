//! What a route asks of a request, as it is written and before it is compiled.

use std::fmt;
use std::str::FromStr;

use http::Method;
use http::header::HeaderName;

use super::error::Error;
use super::host::{self, suffixes};

/// One condition for a route: every part must match. The default matches every request.
///
/// A route with several hosts or conditions has one `Match` for each combination.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    /// The hosts.
    pub host: Host,
    /// The paths.
    pub path: Path,
    /// The method, or any.
    pub method: Option<Method>,
    /// The headers, all of which must match. Of one name only the first counts, as Gateway API says.
    pub headers: Vec<Field>,
    /// The query parameters, all of which must match. Of one name only the first counts.
    pub query: Vec<Parameter>,
}

/// Which hosts match, whatever the port. Made from text: `*`, `*.example.com` or `example.com`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// Every host, and requests without one.
    #[default]
    Any,
    /// The hosts that end in a dot and this name, in lower case.
    Wildcard(Box<str>),
    /// This name or address alone, in lower case.
    Exact(Box<str>),
}

/// Which paths match, case-sensitively and without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// This path alone: `/a` is not `/a/`.
    Exact(String),
    /// The path and everything below it, by whole segments. A trailing `/` is ignored.
    Prefix(String),
    /// The paths that match a [`Pattern`](crate::pattern::Pattern) as a whole.
    Regex(String),
}

/// A condition on a header.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name. Where it comes in several lines, they count as one, joined by `, ` (RFC 9110, 5.3).
    pub name: HeaderName,
    /// What its value must be.
    pub value: Value,
}

/// A condition on a query parameter.
///
/// The query is read as `application/x-www-form-urlencoded`
/// ([URL Standard](https://url.spec.whatwg.org/#urlencoded-parsing)): parameters are told apart by `&`, and
/// in names and values `+` is a space and `%41` is `A`. The first parameter of a name counts, as Gateway API
/// recommends.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, decoded. Case matters.
    pub name: String,
    /// What its value must be, decoded. Without `=` it is empty.
    pub value: Value,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This text.
    Exact(String),
    /// A text that matches a [`Pattern`](crate::pattern::Pattern) as a whole.
    Regex(String),
}

impl Default for Path {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

impl Host {
    /// Whether some host is both of this and of another.
    pub fn meets(&self, other: &Self) -> bool {
        let below = |suffix: &str, host: &str| suffixes(host).any(|one| one == suffix);
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Wildcard(suffix), Self::Exact(host))
            | (Self::Exact(host), Self::Wildcard(suffix)) => below(suffix, host),
            (Self::Wildcard(one), Self::Wildcard(other)) => {
                one == other || below(one, other) || below(other, one)
            }
        }
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        host::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "path {path}"),
            Self::Prefix(path) => write!(f, "path prefix {path}"),
            Self::Regex(pattern) => write!(f, "path regex {pattern}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "={text}"),
            Self::Regex(pattern) => write!(f, "~{pattern}"),
        }
    }
}

/// In words, for whoever asks why a route was taken: `host *.example.com, path prefix /a, method GET`.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}, {}", self.host, self.path)?;
        if let Some(method) = &self.method {
            write!(f, ", method {method}")?;
        }
        for field in &self.headers {
            write!(f, ", header {}{}", field.name, field.value)?;
        }
        for parameter in &self.query {
            write!(f, ", query {}{}", parameter.name, parameter.value)?;
        }
        Ok(())
    }
}
