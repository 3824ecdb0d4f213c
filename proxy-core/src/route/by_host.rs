//! Values by host: the exact host goes before the longest wildcard, and that before any host.

use std::collections::HashMap;

use super::host::suffixes;
use super::rule::Host;

/// Values by host.
#[derive(Debug, Clone, PartialEq)]
pub struct ByHost<T> {
    exact: HashMap<Box<str>, T>,
    /// By what follows `*.`.
    wildcards: HashMap<Box<str>, T>,
    any: Option<T>,
}

impl<T> Default for ByHost<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcards: HashMap::new(),
            any: None,
        }
    }
}

impl<T> ByHost<T> {
    /// The value of the most specific host that covers this one, which is as [`canonical`](super::canonical) makes it.
    pub fn find(&self, host: &str) -> Option<&T> {
        let mut wildcards = suffixes(host).filter_map(|suffix| self.wildcards.get(suffix));
        let named = self.exact.get(host).or_else(|| wildcards.next());
        named.or(self.any.as_ref())
    }

    /// Whether there is a value for whatever is of `host`.
    pub fn covers(&self, host: &Host) -> bool {
        match host {
            Host::Any => self.any.is_some(),
            Host::Exact(name) => self.find(name).is_some(),
            Host::Wildcard(suffix) => {
                let mut above = std::iter::once(&**suffix).chain(suffixes(suffix));
                self.any.is_some() || above.any(|suffix| self.wildcards.contains_key(suffix))
            }
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty() && self.any.is_none()
    }
}

impl<T> Extend<(Host, T)> for ByHost<T> {
    fn extend<I: IntoIterator<Item = (Host, T)>>(&mut self, all: I) {
        for (host, value) in all {
            match host {
                Host::Any => self.any = Some(value),
                Host::Wildcard(suffix) => drop(self.wildcards.insert(suffix, value)),
                Host::Exact(name) => drop(self.exact.insert(name, value)),
            }
        }
    }
}

impl<T> FromIterator<(Host, T)> for ByHost<T> {
    fn from_iter<I: IntoIterator<Item = (Host, T)>>(all: I) -> Self {
        let mut by_host = Self::default();
        by_host.extend(all);
        by_host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_host_is_found() {
        let pairs = ["a.b.c", "*.b.c", "*.c", "*"].map(|host| (host.parse().unwrap(), host));
        let all: ByHost<&str> = pairs.clone().into_iter().collect();
        for (host, found) in [
            ("a.b.c", "a.b.c"),
            ("x.b.c", "*.b.c"),
            ("x.a.b.c", "*.b.c"),
            ("b.c", "*.c"),
            ("c", "*"),
            ("", "*"),
        ] {
            assert_eq!(all.find(host), Some(&found), "{host}");
        }
        let some: ByHost<&str> = pairs.into_iter().take(3).collect();
        assert_eq!(some.find("c"), None);
        for (host, is_covered) in [
            ("*", false),
            ("*.c", true),
            ("*.x.c", true),
            ("*.a.b.c", true),
            ("*.d", false),
            ("x.c", true),
            ("c", false),
        ] {
            assert_eq!(some.covers(&host.parse().unwrap()), is_covered, "{host}");
        }
        assert!(all.covers(&Host::Any));
        assert!(!some.is_empty() && ByHost::<()>::default().is_empty());
    }
}
