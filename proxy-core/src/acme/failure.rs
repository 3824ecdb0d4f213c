//! Why an order failed: what it is counted as, and what the operator is told.

use std::fmt;
use std::io;
use std::path::Path;

use instant_acme::{Error, Problem};

use super::status::Outcome;

/// What an authority says may be long; this much of it is told.
const MOST_TOLD: usize = 500;

/// How the types of problems begin (RFC 8555, 6.7).
const TYPES: &str = "urn:ietf:params:acme:error:";

/// An order that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) outcome: Outcome,
    pub(super) detail: String,
    /// Whether the authority does not know our account.
    forgotten: bool,
}

impl Failure {
    pub(super) fn new(outcome: Outcome, detail: impl fmt::Display) -> Self {
        let detail: String = detail.to_string().chars().take(MOST_TOLD).collect();
        Self {
            outcome,
            detail,
            forgotten: false,
        }
    }

    /// Whether another account would do.
    pub(super) fn is_of_account(&self) -> bool {
        self.forgotten
    }

    pub(super) fn storage(file: &Path, error: &io::Error) -> Self {
        let detail = format_args!("{}: {error}", file.display()).to_string();
        Self::new(Outcome::Storage, detail)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => {
                let outcome = match kind(&problem) {
                    Some("rateLimited") => Outcome::RateLimited,
                    _ => Outcome::Refused,
                };
                Self {
                    forgotten: kind(&problem) == Some("accountDoesNotExist"),
                    ..Self::new(outcome, told(&problem))
                }
            }
            Error::Timeout(_) => {
                let detail = "the authority did not come to a decision in time";
                Self::new(Outcome::Refused, detail)
            }
            Error::Json(_) | Error::Str(_) | Error::Unsupported(_) | Error::InvalidUri(_) => {
                let detail = format!("the authority does not answer as ACME asks for: {error}");
                Self::new(Outcome::Refused, detail)
            }
            Error::Other(why) => Self::new(Outcome::Unreachable, why),
            other => Self::new(Outcome::Unreachable, other),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Which of the problems of RFC 8555 it is.
pub(super) fn kind(problem: &Problem) -> Option<&str> {
    problem.r#type.as_deref()?.strip_prefix(TYPES)
}

/// What the authority says of it.
pub(super) fn told(problem: &Problem) -> String {
    let kind = kind(problem).or(problem.r#type.as_deref());
    let mut told = match &problem.detail {
        Some(detail) => detail.clone(),
        None => "the authority gives no reason".to_owned(),
    };
    if let Some(kind) = kind {
        told = format!("{told} ({kind})");
    }
    told
}
