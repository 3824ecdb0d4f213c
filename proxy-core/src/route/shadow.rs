//! Routes that no request ever takes, because another one always goes first.
//!
//! Found are matches that say the same, and whatever stands below an expression that matches every path of
//! the same hosts. What other expressions leave out cannot be known without a request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use super::rule::{Host, Match, Path};

/// A route that is never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// The index of its match.
    pub route: usize,
    /// The index of the match that always goes first.
    pub by: usize,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, by } = self;
        write!(f, "match {route} is never taken: match {by} goes first")
    }
}

/// Every match that another one shadows, in the order of the list. The matches are valid.
pub(super) fn find(matches: &[Match]) -> Vec<Warning> {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(matches.len());
    let mut warnings = Vec::new();
    let greedy = greedy(matches);
    for (route, rule) in matches.iter().enumerate() {
        match seen.entry(identity(rule)) {
            Entry::Occupied(first) => warnings.push(Warning {
                route,
                by: *first.get(),
            }),
            Entry::Vacant(free) => {
                free.insert(route);
                let by = greedy.get(&rule.host).filter(|_| is_below_regex(rule));
                warnings.extend(by.map(|by| Warning { route, by: *by }));
            }
        }
    }
    warnings
}

/// Of each host the first expression that every path matches, where it asks for nothing else.
fn greedy(matches: &[Match]) -> HashMap<&Host, usize> {
    let mut found = HashMap::new();
    for (route, rule) in matches.iter().enumerate() {
        let all =
            matches!(&rule.path, Path::Regex(written) if [".*", "/.*"].contains(&written.as_str()));
        if all && is_unconditional(rule) {
            found.entry(&rule.host).or_insert(route);
        }
    }
    found
}

fn is_unconditional(rule: &Match) -> bool {
    rule.method.is_none() && rule.headers.is_empty() && rule.query.is_empty()
}

/// A prefix. Expressions with more conditions go first, and others are left to whoever reads them.
fn is_below_regex(rule: &Match) -> bool {
    matches!(rule.path, Path::Prefix(_))
}

/// The same text for matches that say the same: in any order, and of one name only what counts.
fn identity(rule: &Match) -> String {
    let path = match &rule.path {
        Path::Exact(path) => Path::Exact(normal(path)),
        Path::Prefix(path) => {
            let path = normal(path);
            Path::Prefix(path.strip_suffix('/').unwrap_or(&path).to_owned())
        }
        regex => regex.clone(),
    };
    let mut headers: Vec<_> = (rule.headers.iter())
        .map(|field| (field.name.as_str(), &field.value))
        .collect();
    headers.sort_by_key(|(name, _)| *name);
    headers.dedup_by_key(|(name, _)| *name);
    let mut query: Vec<_> = (rule.query.iter())
        .map(|parameter| (parameter.name.as_str(), &parameter.value))
        .collect();
    query.sort_by_key(|(name, _)| *name);
    query.dedup_by_key(|(name, _)| *name);
    format!("{:?}", (&rule.host, path, &rule.method, headers, query))
}

fn normal(path: &str) -> String {
    super::normal_path(path).map_or_else(|_| path.to_owned(), |path| path.into_owned())
}
