//! What is found by a host's name: exact names go before wildcards.
//!
//! In certificates a wildcard stands for exactly one label (RFC 9525, 6.3); rules for hosts cover all that is below, as
//! routes do, so that no host has a route and is without its rules.

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

    /// Whether there is no value.
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty()
    }

    /// The value of the pattern that fits best. `name` is as [`normal`] makes it.
    pub(super) fn find(&self, name: &str) -> Option<&T> {
        self.fitting(name).next()
    }

    /// The value of the pattern that is the name itself, or else of the longest `*.` that it is below, by any number of
    /// labels: as routes are found.
    pub(super) fn covering(&self, name: &str) -> Option<&T> {
        let dots = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let mut wildcards = dots.filter_map(|parent| self.wildcard.get(parent));
        self.exact.get(name).or_else(|| wildcards.next())
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

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn a_wildcard_covers_all_that_is_below_and_the_longest_one_counts() {
        let mut names = Names::default();
        for (pattern, value) in [("*.test", 1), ("*.a.test", 2), ("b.a.test", 3)] {
            assert!(names.set(pattern, value));
        }
        for (name, value) in [
            ("b.a.test", Some(&3)),
            ("c.b.a.test", Some(&2)),
            ("a.test", Some(&1)),
            ("x.y.test", Some(&1)),
            ("test", None),
        ] {
            assert_eq!(names.covering(name), value, "{name}");
        }
    }
}
