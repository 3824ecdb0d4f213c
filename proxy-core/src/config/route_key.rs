//! What a route of a gateway is for, as its key says: methods, a host, a path, and a label.

use std::{fmt, str::FromStr};

use super::written::{Invalid, Written, written};

/// The key of a route: `[METHODS ][HOST][/PREFIX | =/EXACT | ~REGEX][#LABEL]`.
///
/// `shop.example.com/cart` is that path and everything below it, by whole segments. Keys are in the order of
/// their text, which decides only between routes that ask for the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    text: String,
    methods: Vec<String>,
    host: String,
    path: RoutePath,
    label: Option<String>,
}

/// The path of a route's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoutePath {
    /// This path and everything below it.
    Prefix(String),
    /// This path alone.
    Exact(String),
    /// The paths that match the whole of a regular expression.
    Regex(String),
}

impl RouteKey {
    /// The key as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The methods; none for all.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The host: a name, `*.name`, or empty or `*` for any.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path.
    pub fn path(&self) -> &RoutePath {
        &self.path
    }

    /// What the route is called: its label, or the key itself.
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.text)
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const HELP: &str = "write a host and a path, like `shop.example.com/cart`; `=/cart` is that path alone, \
    `~/cart/[0-9]+` a regular expression, `*` any host, and `GET,HEAD ` before it the methods";

impl FromStr for RouteKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |what: String| Err(Invalid::new(what, HELP));
        let (rest, label) = match text.rsplit_once('#') {
            Some((rest, label)) if is_label(label) => (rest, Some(label.to_owned())),
            Some((rest, label)) if !rest.contains('~') => {
                return wrong(format!("`{label}` is not a label of a route"));
            }
            _ => (text, None),
        };
        let (methods, rest) = match rest.split_once(' ') {
            Some((methods, rest)) if !methods.contains(['/', '=', '~']) => (methods, rest),
            _ => ("", rest),
        };
        let methods: Vec<String> = match methods {
            "" => Vec::new(),
            methods => methods.split(',').map(str::to_owned).collect(),
        };
        let is_method =
            |method: &String| !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
        if let Some(method) = methods.iter().find(|method| !is_method(method)) {
            return wrong(format!("`{method}` is not a method"));
        }
        if methods.iter().any(|method| method == "CONNECT") {
            return wrong("CONNECT is not served, so no request takes the route".to_owned());
        }
        let at = rest.find(['/', '=', '~']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        if host.is_empty() && path.is_empty() {
            return wrong("the route names neither a host nor a path".to_owned());
        }
        if let Some(odd) = host.chars().find(|c| !is_of_host(*c)) {
            return wrong(format!("`{odd}` in the host `{host}`"));
        }
        let path = match path.split_at_checked(1) {
            None => RoutePath::Prefix("/".to_owned()),
            Some(("/", _)) => RoutePath::Prefix(path.to_owned()),
            Some(("=", exact)) if exact.starts_with('/') => RoutePath::Exact(exact.to_owned()),
            Some(("~", regex)) if begins_elsewhere(regex) => {
                return wrong(format!(
                    "no path matches `{regex}`: each begins with `/`, and all of it has to match"
                ));
            }
            Some(("~", regex)) if !regex.is_empty() => RoutePath::Regex(regex.to_owned()),
            Some(_) => return wrong(format!("`{path}` is not a path of a route")),
        };
        Ok(Self {
            text: text.to_owned(),
            methods,
            host: host.to_owned(),
            path,
            label,
        })
    }
}

/// Whether a regular expression begins with a letter or the like, of which there is one or more, so that no path
/// can match. Of others it is not known.
fn begins_elsewhere(regex: &str) -> bool {
    let mut chars = regex.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_alphanumeric() || "-_%".contains(c));
    let is_optional = chars.next().is_some_and(|c| "?*{".contains(c));
    first && !is_optional && !regex.contains('|')
}

/// As the name of an entry.
fn is_label(text: &str) -> bool {
    text.parse::<super::EntryName>().is_ok()
}

fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._*:[]".contains(c)
}

impl Written for RouteKey {
    const WHAT: &'static str = "what a route is for";
    const SCHEMA: &'static str = "RouteKey";
    const DESCRIPTION: &'static str = "`[METHODS ][HOST][/PREFIX | =/EXACT | ~REGEX][#LABEL]`: a host is a name, \
        `*.name`, or `*` for any; a prefix is matched by whole segments, a regular expression against the whole path.";
    const PATTERN: &'static str = r".+";
    const EXAMPLES: &'static [&'static str] = &[
        "shop.example.com",
        "shop.example.com/cart",
        "GET,HEAD *.example.com=/robots.txt",
        "*~/v[0-9]+/.*#versions",
    ];
    const VARIABLE: bool = false;
}

written!(RouteKey);
