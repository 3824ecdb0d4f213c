//! The [`Table`]: matches, compiled for look-up.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::conditions::Conditions;
use super::error::Error;
use super::rule::{Host, Match, Path};
use super::tree::{Forest, NodeId};
use super::{Head, Warning, host, path, shadow};
use crate::pattern::Pattern;

/// Finds the route of a request. It never changes: whoever has new matches builds another one.
#[derive(Debug)]
pub struct Table {
    matches: Box<[Match]>,
    /// One for each match.
    conditions: Box<[Option<Box<Conditions>>]>,
    exact: HashMap<Box<str>, Paths>,
    wildcards: HashMap<Box<str>, Paths>,
    any: Option<Paths>,
    forest: Forest,
    warnings: Vec<Warning>,
}

/// The paths of one host.
#[derive(Debug)]
struct Paths {
    root: NodeId,
    /// The most specific first.
    regexes: Vec<(Pattern, u32)>,
}

/// The path of a match as it is put into the table.
enum Place {
    Exact(String),
    Prefix(String),
    Regex(Pattern),
}

impl Table {
    /// Compiles `matches`, of which the earlier ones win ties.
    ///
    /// # Errors
    ///
    /// Every match that cannot be compiled, by its index.
    pub fn build(matches: Vec<Match>) -> Result<Self, Vec<(usize, Error)>> {
        let mut errors = Vec::new();
        let mut places = Vec::with_capacity(matches.len());
        let mut conditions = Vec::with_capacity(matches.len());
        for (index, rule) in matches.iter().enumerate() {
            match Conditions::compile(rule).and_then(|own| Ok((own, Place::of(&rule.path)?))) {
                Ok((own, place)) => {
                    conditions.push(own);
                    places.push(place);
                }
                Err(error) => errors.push((index, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let warnings = shadow::find(&matches);
        let mut table = Self {
            matches: matches.into(),
            conditions: conditions.into(),
            exact: HashMap::new(),
            wildcards: HashMap::new(),
            any: None,
            forest: Forest::default(),
            warnings,
        };
        table.fill(places);
        Ok(table)
    }

    fn fill(&mut self, places: Vec<Place>) {
        for (place, (rule, index)) in places.into_iter().zip(self.matches.iter().zip(0..)) {
            let forest = &mut self.forest;
            let new = |forest: &mut Forest| Paths {
                root: forest.root(),
                regexes: Vec::new(),
            };
            let paths = match &rule.host {
                Host::Any => self.any.get_or_insert_with(|| new(forest)),
                Host::Exact(name) => {
                    (self.exact.entry(name.clone())).or_insert_with(|| new(forest))
                }
                Host::Wildcard(suffix) => {
                    (self.wildcards.entry(suffix.clone())).or_insert_with(|| new(forest))
                }
            };
            match place {
                Place::Exact(path) => forest.put_exact(paths.root, &path, index),
                Place::Prefix(path) => forest.put_prefix(paths.root, &path, index),
                Place::Regex(pattern) => paths.regexes.push((pattern, index)),
            }
        }
        let conditions = &self.conditions;
        let rank = |rule: &u32| {
            let own = conditions.get(*rule as usize).and_then(Option::as_ref);
            (
                Reverse(own.map(|own| own.rank()).unwrap_or_default()),
                *rule,
            )
        };
        self.forest.finish(rank);
        let hosts = self.exact.values_mut().chain(self.wildcards.values_mut());
        for paths in hosts.chain(&mut self.any) {
            paths.regexes.sort_by_key(|(_, rule)| rank(rule));
            paths.regexes.shrink_to_fit();
        }
    }

    /// The index of the match that wins, of those that `head` fulfils.
    pub fn find(&self, head: &Head<'_>) -> Option<usize> {
        self.search(head, Some)
    }

    /// Every match that `head` fulfils, the winner first: for whoever asks why a route was taken.
    pub fn ranking(&self, head: &Head<'_>) -> Vec<usize> {
        let mut all = Vec::new();
        self.search(head, |index| {
            all.push(index);
            None::<()>
        });
        all
    }

    /// A match, by its index. Its `Display` says in words what it asks for.
    pub fn get(&self, index: usize) -> Option<&Match> {
        self.matches.get(index)
    }

    /// How many matches there are.
    pub fn len(&self) -> usize {
        self.matches.len()
    }

    /// Whether there is no match at all.
    pub fn is_empty(&self) -> bool {
        self.matches.is_empty()
    }

    /// The matches that no request ever takes.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Hands the matches that `head` fulfils to `found`, the most specific first, until it has enough.
    fn search<T>(&self, head: &Head<'_>, mut found: impl FnMut(usize) -> Option<T>) -> Option<T> {
        let host = host::canonical(head.authority);
        let is_name = host.len() <= host::MAX_LENGTH;
        let exact = self.exact.get(&*host).filter(|_| is_name);
        let suffixes = is_name.then(|| host::suffixes(&host)).into_iter().flatten();
        let wildcards = suffixes.filter_map(|suffix| self.wildcards.get(suffix));
        let hosts = exact.into_iter().chain(wildcards).chain(&self.any);
        hosts
            .flat_map(|paths| self.of_paths(paths, head.path))
            .filter(|rule| self.holds(*rule, head))
            .find_map(|rule| found(rule as usize))
    }

    /// The rules of one host that `path` fulfils.
    fn of_paths<'a>(&'a self, paths: &'a Paths, path: &'a str) -> impl Iterator<Item = u32> {
        let walk = self.forest.walk(paths.root, path);
        let exact = self.forest.exact(walk).iter().copied();
        let regexes = (paths.regexes.iter())
            .filter(|(pattern, _)| pattern.matches(path.as_bytes()))
            .map(|(_, rule)| *rule);
        let absolute = path.starts_with('/').then(|| self.forest.prefixes(walk));
        let prefixes = absolute.into_iter().flatten().flatten().copied();
        exact.chain(regexes).chain(prefixes)
    }

    fn holds(&self, rule: u32, head: &Head<'_>) -> bool {
        let conditions = self.conditions.get(rule as usize).and_then(Option::as_ref);
        conditions.is_none_or(|conditions| conditions.hold(head))
    }
}

impl Place {
    fn of(path: &Path) -> Result<Self, Error> {
        Ok(match path {
            Path::Exact(exact) => Self::Exact(path::of_match(exact)?.into_owned()),
            Path::Prefix(prefix) => Self::Prefix(path::of_match(prefix)?.into_owned()),
            Path::Regex(written) => Self::Regex(Pattern::new(written).map_err(Error::Path)?),
        })
    }
}
