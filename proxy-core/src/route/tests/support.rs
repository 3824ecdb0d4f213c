//! Matches and requests as short texts, so that a case is a line.

use http::{Method, Request};

use crate::route::{Field, Head, Match, Parameter, Path, Table, Value, normalise};

/// `HOST PATH [METHOD] [NAME:VALUE] [?NAME=VALUE]`: the path is a prefix, or exact after `=`, or an
/// expression after `~`; a value is exact, or an expression after `~`.
pub(super) fn rule(text: &str) -> Match {
    let mut words = text.split(' ');
    let host = words.next().expect("a host").parse().expect("a host");
    let mut rule = Match {
        host,
        path: path(words.next().expect("a path")),
        ..Match::default()
    };
    for word in words {
        if let Some(parameter) = word.strip_prefix('?') {
            let (name, text) = parameter.split_once('=').expect("a parameter");
            let (name, value) = (name.to_owned(), value(text));
            rule.query.push(Parameter { name, value });
        } else if let Some((name, text)) = word.split_once(':') {
            let (name, value) = (name.parse().expect("a name"), value(text));
            rule.headers.push(Field { name, value });
        } else {
            rule.method = Some(word.parse().expect("a method"));
        }
    }
    rule
}

fn path(text: &str) -> Path {
    if let Some(exact) = text.strip_prefix('=') {
        Path::Exact(exact.to_owned())
    } else if let Some(pattern) = text.strip_prefix('~') {
        Path::Regex(pattern.to_owned())
    } else {
        Path::Prefix(text.to_owned())
    }
}

fn value(text: &str) -> Value {
    match text.strip_prefix('~') {
        Some(pattern) => Value::Regex(pattern.to_owned()),
        None => Value::Exact(text.to_owned()),
    }
}

pub(super) fn rules(texts: &[&str]) -> Vec<Match> {
    texts.iter().copied().map(rule).collect()
}

pub(super) fn table(texts: &[&str]) -> Table {
    Table::build(rules(texts)).expect("a table")
}

/// `[METHOD] TARGET [NAME:VALUE]`; the target is `HOST/PATH?QUERY`.
pub(super) fn request(text: &str) -> Request<()> {
    let mut words = text.split(' ').peekable();
    let method = words.next_if(|word| word.parse().is_ok_and(|method: Method| is_known(&method)));
    let target = words.next().expect("a target");
    let (host, path) = target.split_at(target.find('/').expect("a path"));
    let mut request = Request::builder()
        .method(method.unwrap_or("GET"))
        .uri(path)
        .header("host", host);
    for word in words {
        let (name, value) = word.split_once(':').expect("a header");
        request = request.header(name, value);
    }
    let mut request = request.body(()).expect("a request");
    normalise(request.uri_mut()).expect("a normal path");
    request
}

fn is_known(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(method)
}

/// What the table finds for a request.
pub(super) fn find(table: &Table, text: &str) -> Option<usize> {
    let request = request(text);
    let found = table.find(&Head::of(&request));
    let ranking = table.ranking(&Head::of(&request));
    assert_eq!(ranking.first().copied(), found, "{text}");
    found
}
