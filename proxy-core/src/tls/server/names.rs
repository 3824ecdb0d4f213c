//! What is found by a host's name: exact names go before wildcards, which stand for exactly one label (RFC 9525, 6.3).

use std::collections::HashMap;

/// Values by name.
#[derive(Debug)]
pub(super) struct Names<T> {
    exact: HashMap<Box<str>, T>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        }
    }
}

impl<T> Names<T> {
    /// The value of exactly this pattern, made where there is none.
    pub(super) fn of(&mut self, pattern: &str) -> &mut T
    where
        T: Default,
    {
        let pattern = normal(pattern);
        match pattern.strip_prefix("*.") {
            Some(rest) => self.wildcard.entry(rest.into()).or_default(),
            None => self.exact.entry(pattern.into()).or_default(),
        }
    }

    /// Sets the value of a pattern; false where it had one.
    pub(super) fn set(&mut self, pattern: &str, value: T) -> bool {
        let pattern = normal(pattern);
        let former = match pattern.strip_prefix("*.") {
            Some(rest) => self.wildcard.insert(rest.into(), value),
            None => self.exact.insert(pattern.into(), value),
        };
        former.is_none()
    }

    /// The value of the pattern that fits best. `name` is as [`normal`] makes it.
    pub(super) fn find(&self, name: &str) -> Option<&T> {
        self.fitting(name).next()
    }

    /// The values of all patterns that fit, the best one first.
    pub(super) fn fitting(&self, name: &str) -> impl Iterator<Item = &T> {
        let parent = name.split_once('.').filter(|(label, _)| !label.is_empty());
        let wildcard = parent.and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(name).into_iter().chain(wildcard)
    }
}

/// Whether it is a name, or one behind `*.`.
pub(super) fn is_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    rustls::pki_types::DnsName::try_from(name).is_ok()
}

/// In lower case, and without a dot at its end.
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
