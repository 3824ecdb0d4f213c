//! Why a match cannot be compiled.

use super::Refused;
use crate::pattern;

/// What is wrong with a match.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host is neither a name of RFC 1123, nor an address, nor a wildcard before a name.
    #[error("`{0}` is no host: write a name, an IP address, `*.` and a name, or `*`")]
    Host(String),
    /// The path does not begin with `/`.
    #[error("the path `{0}` does not begin with `/`")]
    NotAbsolute(String),
    /// The path has an empty segment, which Gateway API forbids.
    #[error("the path `{0}` contains `//`")]
    EmptySegment(String),
    /// The path contains the beginning of a query or a fragment.
    #[error("the path `{0}` contains `?` or `#`, which end a path")]
    NotAPath(String),
    /// The path is longer than Gateway API allows.
    #[error("the path has more than {} bytes", super::path::MAX_LENGTH)]
    TooLong,
    /// No request with this path would be accepted.
    #[error("the path `{path}` never comes: {why}")]
    NeverComes {
        /// The path.
        path: String,
        /// Why requests with it are refused.
        why: Refused,
    },
    /// The regular expression of the path.
    #[error("the regular expression of the path: {0}")]
    Path(pattern::Error),
    /// The regular expression of a header.
    #[error("the regular expression of the header `{0}`: {1}")]
    Header(String, pattern::Error),
    /// The regular expression of a query parameter.
    #[error("the regular expression of the query parameter `{0}`: {1}")]
    Query(String, pattern::Error),
}
