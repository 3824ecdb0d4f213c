//! What a match asks beyond host and path, compiled.

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method};

use super::error::Error;
use super::rule::{Match, Value};
use super::{Head, query};
use crate::pattern::{self, Pattern};

/// Method, headers and query parameters, all of which must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conditions {
    method: Option<Method>,
    headers: Box<[(HeaderName, Wanted)]>,
    query: Box<[(Box<str>, Wanted)]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Exact(Box<[u8]>),
    Regex(Pattern),
}

impl Conditions {
    /// None where everything matches.
    pub(super) fn compile(rule: &Match) -> Result<Option<Box<Self>>, Error> {
        let mut headers: Vec<(HeaderName, Wanted)> = Vec::with_capacity(rule.headers.len());
        for field in &rule.headers {
            if headers.iter().all(|(name, _)| *name != field.name) {
                let wrong = |why| Error::Header(field.name.to_string(), why);
                let wanted = Wanted::compile(&field.value).map_err(wrong)?;
                headers.push((field.name.clone(), wanted));
            }
        }
        let mut query: Vec<(Box<str>, Wanted)> = Vec::with_capacity(rule.query.len());
        for parameter in &rule.query {
            if query.iter().all(|(name, _)| **name != *parameter.name) {
                let wrong = |why| Error::Query(parameter.name.clone(), why);
                let wanted = Wanted::compile(&parameter.value).map_err(wrong)?;
                query.push((parameter.name.as_str().into(), wanted));
            }
        }
        if rule.method.is_none() && headers.is_empty() && query.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self {
            method: rule.method.clone(),
            headers: headers.into(),
            query: query.into(),
        })))
    }

    /// How specific they are: a method, then headers, then query parameters.
    pub(super) fn rank(&self) -> (bool, usize, usize) {
        (self.method.is_some(), self.headers.len(), self.query.len())
    }

    /// Whether they hold for a request.
    pub(super) fn hold(&self, head: &Head<'_>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| method == head.method)
            && (self.headers.iter()).all(|(name, wanted)| wanted.is_header(head.headers, name))
            && (self.query.iter()).all(|(name, wanted)| wanted.is_parameter(head.query, name))
    }
}

impl Wanted {
    fn compile(value: &Value) -> Result<Self, pattern::Error> {
        Ok(match value {
            Value::Exact(text) => Self::Exact(text.as_bytes().into()),
            Value::Regex(written) => Self::Regex(Pattern::new(written)?),
        })
    }

    fn is(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => **exact == *text,
            Self::Regex(pattern) => pattern.matches(text),
        }
    }

    /// Several lines of one name are one value (RFC 9110, 5.3).
    fn is_header(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let mut lines = headers.get_all(name).iter();
        let Some(first) = lines.next() else {
            return false;
        };
        if lines.size_hint().1 == Some(0) {
            return self.is(first.as_bytes());
        }
        let all: Vec<&[u8]> = std::iter::once(first)
            .chain(lines)
            .map(HeaderValue::as_bytes)
            .collect();
        self.is(&all.join(&b", "[..]))
    }

    fn is_parameter(&self, all: &str, name: &str) -> bool {
        let Some(value) = query::first(all, name) else {
            return false;
        };
        match self {
            Self::Exact(exact) => value.eq(exact.iter().copied()),
            Self::Regex(pattern) => pattern.matches(&value.collect::<Vec<u8>>()),
        }
    }
}
