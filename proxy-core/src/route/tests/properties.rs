//! The table against a reference that looks at every match, in the words of the specification.

use std::cmp::Reverse;

use http::HeaderMap;
use proptest::prelude::*;
use proptest::sample::select;

use super::support::{request, rule};
use crate::pattern::Pattern;
use crate::route::{Head, Host, Match, Path, Table, Value};

/// All matches that a request fulfils, the most specific first.
fn reference(matches: &[Match], head: &Head<'_>) -> Vec<usize> {
    let mut all: Vec<usize> = (0..matches.len())
        .filter(|index| fulfils(&matches[*index], head))
        .collect();
    all.sort_by_key(|index| Reverse(specificity(&matches[*index])));
    all
}

/// Sorting is stable: what is as specific stays in order.
fn specificity(rule: &Match) -> impl Ord + use<> {
    let host = match &rule.host {
        Host::Any => (0, 0),
        Host::Wildcard(suffix) => (1, suffix.len()),
        Host::Exact(name) => (2, name.len()),
    };
    let path = match &rule.path {
        Path::Prefix(prefix) => (0, prefix.trim_end_matches('/').len()),
        Path::Regex(_) => (1, 0),
        Path::Exact(_) => (2, 0),
    };
    (
        host,
        path,
        rule.method.is_some(),
        rule.headers.len(),
        rule.query.len(),
    )
}

fn fulfils(rule: &Match, head: &Head<'_>) -> bool {
    let host = match &rule.host {
        Host::Any => true,
        Host::Exact(name) => *head.authority == **name,
        Host::Wildcard(suffix) => {
            let rest = head.authority.strip_suffix(&format!(".{suffix}"));
            rest.is_some_and(|rest| !rest.is_empty())
        }
    };
    let path = match &rule.path {
        Path::Exact(path) => head.path == path,
        Path::Regex(pattern) => Pattern::new(pattern).unwrap().matches(head.path.as_bytes()),
        Path::Prefix(prefix) => {
            let elements = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            elements(head.path).starts_with(&elements(prefix.trim_end_matches('/')))
        }
    };
    let header = |name: &str| joined(head.headers, name);
    let query = |wanted: &str| {
        let mut pairs = head
            .query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned())
    };
    host && path
        && rule
            .method
            .as_ref()
            .is_none_or(|method| method == head.method)
        && rule
            .headers
            .iter()
            .all(|field| is(&field.value, header(field.name.as_str())))
        && rule
            .query
            .iter()
            .all(|parameter| is(&parameter.value, query(&parameter.name)))
}

fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn is(wanted: &Value, found: Option<String>) -> bool {
    found.is_some_and(|found| match wanted {
        Value::Exact(text) => found == *text,
        Value::Regex(pattern) => Pattern::new(pattern).unwrap().matches(found.as_bytes()),
    })
}

fn rules() -> impl Strategy<Value = String> {
    let hosts = vec![
        "*",
        "*.com",
        "*.a.com",
        "*.b.a.com",
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "com",
    ];
    let paths = vec![
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/ab",
        "/a/b/c",
        "=/",
        "=/a",
        "=/a/",
        "=/a/b",
        "=/ab",
        "~/a.*",
        "~/(a|b)/?",
        "~.*b",
    ];
    let methods = vec!["", " GET", " POST"];
    let headers = vec!["", "", " x:1", " x:2", " x:~.*2", " x:1 y:1", " y:1"];
    let query = vec!["", "", " ?q=1", " ?q=1 ?r=", " ?q=~[12]"];
    let parts = (
        select(hosts),
        select(paths),
        select(methods),
        select(headers),
        select(query),
    );
    parts.prop_map(|(host, path, method, headers, query)| {
        format!("{host} {path}{method}{headers}{query}")
    })
}

fn requests() -> impl Strategy<Value = String> {
    let methods = vec!["", "POST ", "PUT "];
    let hosts = vec![
        "",
        "com",
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "x.c.b.a.com",
        ".a.com",
        "x.com",
        "a.org",
    ];
    let headers = vec!["", " x:1", " x:2", " x:1 x:2", " x:1 y:1", " y:1"];
    let query = vec!["", "?q=1", "?q=2&q=1", "?r", "?q=1&r=", "?&q=1"];
    let parts = (
        select(methods),
        select(hosts),
        "(/|/a|/b|/c|/ab){1,4}",
        select(query),
        select(headers),
    );
    parts.prop_map(|(method, host, path, query, headers)| {
        format!("{method}{host}{path}{query}{headers}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_table_finds_what_the_specification_says(
        rules in prop::collection::vec(rules(), 0..24),
        requests in prop::collection::vec(requests(), 1..16),
    ) {
        let matches: Vec<Match> = rules.iter().map(|text| rule(text)).collect();
        let table = Table::build(matches.clone()).unwrap();
        for text in &requests {
            let request = request(text);
            let head = Head::of(&request);
            let expected = reference(&matches, &head);
            prop_assert_eq!(table.ranking(&head), expected.clone(), "{} in {:?}", text, rules);
            prop_assert_eq!(table.find(&head), expected.first().copied());
            let shadowed = |index: usize| table.warnings().iter().any(|warning| warning.route == index);
            prop_assert!(!expected.first().is_some_and(|index| shadowed(*index)));
        }
    }
}
