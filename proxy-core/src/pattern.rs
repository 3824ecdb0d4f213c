//! A regular expression that matches a whole text or nothing, in time linear in the text.
//!
//! The dialect is that of the [`regex`](https://docs.rs/regex/1/regex/#syntax) crate over bytes:
//! no look-around, no back-references, and classes such as `\d` and `\w` are ASCII. What a
//! compiled expression may take of memory is bounded, so that no configuration can exhaust it.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// The most bytes that an expression may be written in: what Gateway API allows a path.
pub const MAX_LENGTH: usize = 1024;

/// The most bytes that one expression takes when it is compiled, and that its cache takes a thread.
const MAX_SIZE: usize = 1 << 20;

/// A compiled expression. Two are equal when they are written the same.
#[derive(Clone)]
pub struct Pattern {
    written: Box<str>,
    regex: Regex,
}

/// Why a text is no usable expression.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// It is longer than [`MAX_LENGTH`].
    #[error("the regular expression has more than {MAX_LENGTH} bytes")]
    TooLong,
    /// It would take too much memory.
    #[error("the regular expression takes more than 1 MiB when compiled")]
    TooLarge,
    /// It is not written as an expression is.
    #[error("{0}")]
    Syntax(String),
}

impl Pattern {
    /// Compiles `written`, which is matched against whole texts without being told so.
    ///
    /// # Errors
    ///
    /// When `written` is no expression of the dialect, or too large.
    pub fn new(written: &str) -> Result<Self, Error> {
        if written.len() > MAX_LENGTH {
            return Err(Error::TooLong);
        }
        // Alone first: an unbalanced parenthesis must not close the group around it.
        compile(written)?;
        Ok(Self {
            written: written.into(),
            regex: compile(&format!(r"\A(?:{written})\z"))?,
        })
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

fn compile(written: &str) -> Result<Regex, Error> {
    let built = RegexBuilder::new(written)
        .unicode(false)
        .size_limit(MAX_SIZE)
        .dfa_size_limit(MAX_SIZE)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Error::TooLarge,
        other => Error::Syntax(last_line(&other.to_string()).to_owned()),
    })
}

/// What is wrong, without the drawing above it.
fn last_line(text: &str) -> &str {
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last)
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.written).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts_match() {
        for (pattern, text, matches) in [
            ("a|ab", "ab", true),
            ("a|ab", "abc", false),
            ("/v[0-9]+", "/v12", true),
            ("/v[0-9]+", "/v12/", false),
            ("/v[0-9]+", "x/v12", false),
            ("^/a$", "/a", true),
            ("", "", true),
            ("", "a", false),
            (".*", "", true),
            ("a.*", "a\nb", false),
            ("(?s)a.*", "a\nb", true),
            ("(?i)abc", "aBC", true),
            (r"\d+", "12", true),
            (r"\d+", "٣", false),
            ("ä", "ä", true),
            ("(?x) a  b", "ab", true),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(
                compiled.matches(text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for wrong in ["(", "a)|(b", "[", r"(a)\1", "(?=a)", "*"] {
            assert!(
                matches!(Pattern::new(wrong), Err(Error::Syntax(_))),
                "{wrong}"
            );
        }
        assert_eq!(Pattern::new("(a{1000}){1000}"), Err(Error::TooLarge));
        assert_eq!(Pattern::new(&"a".repeat(1025)), Err(Error::TooLong));
    }
}
