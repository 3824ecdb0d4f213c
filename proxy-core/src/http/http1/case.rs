//! The case of a request's field names as its sender wrote them, for upstreams that tell them apart.
//!
//! Names are compared without regard to case (RFC 9110, 5.1), yet old programs exist that do not.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;

/// How field names were written. Travels in the request's extensions, where it is not lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FieldCase {
    /// `Like-This`, as most clients do.
    Title,
    /// In their own way: the names of the head, in order.
    Own(Arc<[Bytes]>),
}

/// In which of the usual manners names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    lower: bool,
    title: bool,
}

/// Of no name: nothing speaks against either.
impl Default for Manner {
    fn default() -> Self {
        Self {
            lower: true,
            title: true,
        }
    }
}

impl Manner {
    /// How one name is written.
    pub(super) fn of(name: &[u8]) -> Self {
        Self {
            lower: !name.iter().any(u8::is_ascii_uppercase),
            title: is_title(name),
        }
    }

    /// How these and those are written.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            lower: self.lower && other.lower,
            title: self.title && other.title,
        }
    }

    /// What is to be kept of it: nothing of lower case. `names` is asked only where neither manner holds.
    pub(super) fn case(self, names: impl FnOnce() -> Arc<[Bytes]>) -> Option<FieldCase> {
        match (self.lower, self.title) {
            (true, _) => None,
            (false, true) => Some(FieldCase::Title),
            (false, false) => Some(FieldCase::Own(names())),
        }
    }
}

fn is_title(name: &[u8]) -> bool {
    let mut first = true;
    name.iter().all(|byte| {
        let good = if first {
            !byte.is_ascii_lowercase()
        } else {
            !byte.is_ascii_uppercase()
        };
        first = *byte == b'-';
        good
    })
}

/// Writes a name in the case of its message.
pub(super) fn write_name(out: &mut Vec<u8>, name: &HeaderName, case: Option<&FieldCase>) {
    let lower = name.as_str().as_bytes();
    match case {
        None => out.extend_from_slice(lower),
        Some(FieldCase::Title) => {
            let start = out.len();
            out.extend_from_slice(lower);
            let mut first = true;
            for byte in &mut out[start..] {
                if first {
                    byte.make_ascii_uppercase();
                }
                first = *byte == b'-';
            }
        }
        Some(FieldCase::Own(names)) => {
            let own = names.iter().find(|own| own.eq_ignore_ascii_case(lower));
            out.extend_from_slice(own.map_or(lower, |own| own));
        }
    }
}
