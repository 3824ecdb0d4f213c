//! When a try is worth repeating: the words of `retry.on`.

use std::ops::RangeInclusive;

use http::{HeaderMap, StatusCode};

use crate::fault::{Class, Fault};

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No connection could be made.
    Connect,
    /// The connection ended before a response head.
    Reset,
    /// The try took longer than `timeout.try`.
    Timeout,
    /// A gRPC response that consists of the status UNAVAILABLE (14).
    Unavailable,
    /// A response status in this range.
    Status(RangeInclusive<u16>),
}

impl Condition {
    pub(super) fn matches_fault(&self, fault: &Fault) -> bool {
        matches!(
            (self, fault.reason().class()),
            (Self::Connect, Class::Connect)
                | (Self::Reset, Class::Reset)
                | (Self::Timeout, Class::Timeout)
        )
    }

    pub(super) fn matches_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        match self {
            Self::Status(range) => range.contains(&status.as_u16()),
            Self::Unavailable => headers
                .get("grpc-status")
                .is_some_and(|value| value == "14"),
            Self::Connect | Self::Reset | Self::Timeout => false,
        }
    }
}
