//! How a path is changed: replaced as a whole, or in the prefix that a route matched.
//!
//! These are `ReplaceFullPath` and `ReplacePrefixMatch` of Gateway API's
//! [HTTPPathModifier](https://gateway-api.sigs.k8s.io/reference/spec/#httppathmodifier). The query is no
//! part of the path and stays.

use http::Uri;
use http::uri::PathAndQuery;

/// A change of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathChange {
    /// The whole path becomes this one.
    Full(String),
    /// The beginning of the path is replaced, by whole segments; a trailing `/` of either is ignored.
    Prefix {
        /// The prefix that the route matched.
        from: String,
        /// What stands in its place. Empty takes the prefix away.
        to: String,
    },
}

/// Why a path cannot stand in a request or a `Location`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: it begins with `/` and holds neither `?` nor `#`")]
pub struct WrongPath(pub String);

impl PathChange {
    /// # Errors
    ///
    /// When a path in it is none.
    pub(super) fn check(&self) -> Result<(), WrongPath> {
        let is_path = |text: &str| {
            let plain = text.starts_with('/') && !text.contains(['?', '#']);
            plain && PathAndQuery::try_from(text).is_ok()
        };
        let (path, may_be_empty) = match self {
            Self::Full(path) => (path, false),
            Self::Prefix { from, to } if is_path(from) => (to, true),
            Self::Prefix { from, .. } => return Err(WrongPath(from.clone())),
        };
        match is_path(path) || (may_be_empty && path.is_empty()) {
            true => Ok(()),
            false => Err(WrongPath(path.clone())),
        }
    }

    /// The path and query that `uri` becomes; none where nothing changes.
    pub(super) fn of(&self, uri: &Uri) -> Option<PathAndQuery> {
        let path = match self {
            Self::Full(path) => path.clone(),
            Self::Prefix { from, to } => {
                let rest = uri.path().strip_prefix(from.trim_end_matches('/'))?;
                if !rest.is_empty() && !rest.starts_with('/') {
                    return None;
                }
                // Two slashes at the beginning would be read as a host by some.
                let rest = match to.trim_end_matches('/') {
                    "" if rest.starts_with("//") => rest.trim_start_matches('/'),
                    _ => rest,
                };
                let between = if rest.is_empty() || rest.starts_with('/') {
                    ""
                } else {
                    "/"
                };
                match format!("{}{between}{rest}", to.trim_end_matches('/')) {
                    path if path.is_empty() => "/".to_owned(),
                    path => path,
                }
            }
        };
        let whole = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        PathAndQuery::try_from(whole).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_replaced_as_gateway_api_says() {
        for (path, from, to, changed) in [
            // The table of HTTPPathModifier.
            ("/foo/bar", "/foo", "/xyz", Some("/xyz/bar")),
            ("/foo/bar", "/foo", "/xyz/", Some("/xyz/bar")),
            ("/foo/bar", "/foo/", "/xyz", Some("/xyz/bar")),
            ("/foo/bar", "/foo/", "/xyz/", Some("/xyz/bar")),
            ("/foo", "/foo", "/xyz", Some("/xyz")),
            ("/foo/", "/foo", "/xyz", Some("/xyz/")),
            ("/foo/bar", "/foo", "", Some("/bar")),
            ("/foo/", "/foo", "", Some("/")),
            ("/foo", "/foo", "", Some("/")),
            ("/foo/", "/foo", "/", Some("/")),
            ("/foo", "/foo", "/", Some("/")),
            // The rest.
            ("/bar", "/", "/xyz", Some("/xyz/bar")),
            ("/", "/", "/xyz", Some("/xyz/")),
            ("/bar?a=/foo", "/", "/xyz", Some("/xyz/bar?a=/foo")),
            ("/foo?a=1", "/foo", "", Some("/?a=1")),
            ("/foo/a%2Fb", "/foo", "/x%20y", Some("/x%20y/a%2Fb")),
            ("/foo/foo", "/foo", "/a", Some("/a/foo")),
            ("/food", "/foo", "/a", None),
            ("/bar", "/foo", "/a", None),
        ] {
            let change = PathChange::Prefix {
                from: from.to_owned(),
                to: to.to_owned(),
            };
            change.check().unwrap();
            let found = change.of(&path.parse().unwrap());
            let found = found.as_ref().map(PathAndQuery::as_str);
            assert_eq!(found, changed, "{path}: {from} -> {to}");
        }
    }

    #[test]
    fn a_full_path_keeps_the_query() {
        let change = PathChange::Full("/one".to_owned());
        change.check().unwrap();
        assert_eq!(change.of(&"/a/b?c=d".parse().unwrap()).unwrap(), "/one?c=d");
        assert_eq!(change.of(&"http://h/a".parse().unwrap()).unwrap(), "/one");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in ["", "a", "/a?b", "/a#b", "/a b", "*"] {
            let full = PathChange::Full(wrong.to_owned());
            assert_eq!(full.check(), Err(WrongPath(wrong.to_owned())));
            let prefix = |from: &str, to: &str| PathChange::Prefix {
                from: from.to_owned(),
                to: to.to_owned(),
            };
            assert!(prefix(wrong, "/").check().is_err(), "{wrong}");
            assert_eq!(
                prefix("/", wrong).check().is_err(),
                !wrong.is_empty(),
                "{wrong}"
            );
        }
    }
}
