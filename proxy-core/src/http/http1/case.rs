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

/// Finds out how the names of one head are written.
#[derive(Debug)]
pub(super) struct Survey {
    lower: bool,
    title: bool,
}

impl Survey {
    pub(super) fn new() -> Self {
        Self {
            lower: true,
            title: true,
        }
    }

    /// Looks at one name; false when no further one can change what was found.
    pub(super) fn see(&mut self, name: &[u8]) -> bool {
        self.lower = self.lower && !name.iter().any(u8::is_ascii_uppercase);
        self.title = self.title && is_title(name);
        self.lower || self.title
    }

    /// What was found; none for lower case. `names` is asked only where neither rule holds.
    pub(super) fn found(&self, names: impl FnOnce() -> Arc<[Bytes]>) -> Option<FieldCase> {
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
            let mut first = true;
            out.extend(lower.iter().map(|byte| {
                let written = if first {
                    byte.to_ascii_uppercase()
                } else {
                    *byte
                };
                first = *byte == b'-';
                written
            }));
        }
        Some(FieldCase::Own(names)) => {
            let own = names.iter().find(|own| own.eq_ignore_ascii_case(lower));
            out.extend_from_slice(own.map_or(lower, |own| own));
        }
    }
}
