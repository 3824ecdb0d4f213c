//! The path of a request as it is matched and forwarded: one string, normalised by RFC 3986 or refused.
//!
//! What two programs could read in two ways never gets past here, because the upstream may read it
//! otherwise than the match table did:
//!
//! | in the path | becomes |
//! |---|---|
//! | `%41`, `%7E`: an unreserved character, encoded | the character (RFC 3986, 6.2.2.2) |
//! | `%2f`: lower-case digits | `%2F` (RFC 3986, 6.2.2.1) |
//! | `.` or `..` as a segment, plain, as `%2e`, before `;`, or between `/`, `%2F` and `%5C` | refused |
//! | `\` | refused: no character of a URI, and `/` to some |
//! | `%00`, and `%` without two digits after it | refused |
//! | `//`, `;`, `%2F`, `%5C` and whatever else | kept, and matched as it is |
//!
//! A dot segment is refused rather than resolved, because every conforming client resolves it before it
//! sends (RFC 3986, 5.2.4; the URL Standard): whoever sends one wants programs to disagree. `//` holds an empty
//! segment, as RFC 3986 section 3.3 has it: `/a//b` is not `/a/b`. `%2F` is a character of its segment.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use super::error::Error;
use crate::fault::{Fault, Reason};

/// The most bytes of a path in a match: what Gateway API allows.
pub(super) const MAX_LENGTH: usize = 1024;

/// Why a request is not routed: its path could be read in two ways, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It does not begin with `/`.
    #[error("the request's path does not begin with a slash")]
    NotAbsolute,
    /// It has a segment `.` or `..`, however it is written.
    #[error("the request's path has a dot segment")]
    DotSegment,
    /// It has a `\`.
    #[error("the request's path has a backslash")]
    Backslash,
    /// It has a `%` that two hexadecimal digits do not follow.
    #[error("the request's path has a percent sign that encodes nothing")]
    Percent,
    /// It has a `%00`.
    #[error("the request's path has an encoded NUL")]
    Nul,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Fault::unseen(Reason::RequestError, refused.to_string())
    }
}

/// Brings the path of `uri` into the form in which it is matched and forwarded. Costs one look at
/// it where there is nothing to do, which is the common case. The asterisk of `OPTIONS *` is left alone.
///
/// # Errors
///
/// When the path is refused; the request is to be answered with 400.
pub fn normalise(uri: &mut Uri) -> Result<(), Refused> {
    let path = match normal_path(uri.path())? {
        Cow::Borrowed(_) => return Ok(()),
        Cow::Owned(path) => path,
    };
    let whole = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).map_err(|_| Refused::Percent)?);
    *uri = Uri::from_parts(parts).map_err(|_| Refused::NotAbsolute)?;
    Ok(())
}

/// The path as it is matched and forwarded. Normalising it again changes nothing.
///
/// # Errors
///
/// When requests with this path are refused.
pub fn normal_path(path: &str) -> Result<Cow<'_, str>, Refused> {
    if path == "*" {
        return Ok(Cow::Borrowed(path));
    }
    if !path.starts_with('/') {
        return Err(Refused::NotAbsolute);
    }
    let is_special = |byte| matches!(byte, b'\\' | b'%' | b'.');
    if !path.bytes().any(is_special) {
        return Ok(Cow::Borrowed(path));
    }
    if path.contains('\\') {
        return Err(Refused::Backslash);
    }
    let normal = match path.contains('%') {
        true => Cow::Owned(with_normal_escapes(path)?),
        false => Cow::Borrowed(path),
    };
    match has_dot_segment(&normal) {
        true => Err(Refused::DotSegment),
        false if normal == path => Ok(Cow::Borrowed(path)),
        false => Ok(normal),
    }
}

/// Decodes what needs no encoding, and writes the digits of the rest in upper case.
fn with_normal_escapes(path: &str) -> Result<String, Refused> {
    let mut normal = String::with_capacity(path.len());
    let mut parts = path.split('%');
    normal.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(Refused::Percent)?;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal);
        match byte.ok_or(Refused::Percent)? {
            0 => return Err(Refused::Nul),
            byte if is_unreserved(byte) => normal.push(byte.into()),
            _ => {
                normal.push('%');
                normal.extend(digits.chars().map(|digit| digit.to_ascii_uppercase()));
            }
        }
        normal.push_str(rest);
    }
    Ok(normal)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a path with normal escapes has a segment that somebody may take for `.` or `..`. Encoded slashes
/// and backslashes are decoded by some before they look at segments, and parameters are cut off.
fn has_dot_segment(path: &str) -> bool {
    let is_dots = |path: &str| {
        path.split('/')
            .filter_map(|segment| segment.split(';').next())
            .any(|segment| segment == "." || segment == "..")
    };
    if !path.contains('.') {
        return false;
    }
    match path.contains('%') {
        true => is_dots(
            &path
                .replace("%2F", "/")
                .replace("%5C", "/")
                .replace("%3B", ";"),
        ),
        false => is_dots(path),
    }
}

/// The path of a match as requests have it, where requests can have it.
pub(super) fn of_match(path: &str) -> Result<Cow<'_, str>, Error> {
    if path.len() > MAX_LENGTH {
        return Err(Error::TooLong);
    }
    if !path.starts_with('/') {
        return Err(Error::NotAbsolute(path.to_owned()));
    }
    if path.contains("//") {
        return Err(Error::EmptySegment(path.to_owned()));
    }
    if path.contains(['?', '#']) {
        return Err(Error::NotAPath(path.to_owned()));
    }
    normal_path(path).map_err(|why| Error::NeverComes {
        path: path.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_two_could_read_in_two_ways_is_refused_or_normalised() {
        use Refused::{Backslash, DotSegment, NotAbsolute, Nul, Percent};
        for (path, expected) in [
            ("/", Ok("/")),
            ("/a/b.c/", Ok("/a/b.c/")),
            ("*", Ok("*")),
            ("", Err(NotAbsolute)),
            ("a", Err(NotAbsolute)),
            // Escapes.
            ("/%61dmin", Ok("/admin")),
            ("/%7Eann/%2D%5f", Ok("/~ann/-_")),
            ("/%c3%a4", Ok("/%C3%A4")),
            ("/a%20b", Ok("/a%20b")),
            ("/100%", Err(Percent)),
            ("/%4", Err(Percent)),
            ("/%zz", Err(Percent)),
            ("/%+1", Err(Percent)),
            ("/%ä", Err(Percent)),
            ("/a%00b", Err(Nul)),
            ("/%252e%252e/", Ok("/%252e%252e/")),
            // Dot segments.
            ("/..", Err(DotSegment)),
            ("/.", Err(DotSegment)),
            ("/a/../b", Err(DotSegment)),
            ("/a/./b", Err(DotSegment)),
            ("/a/%2e%2E/b", Err(DotSegment)),
            ("/a/.%2e", Err(DotSegment)),
            ("/a/..;x=1/b", Err(DotSegment)),
            ("/a/..%3bx/b", Err(DotSegment)),
            ("/a%2f..%2Fb", Err(DotSegment)),
            ("/a%5c..%5Cb", Err(DotSegment)),
            ("/a/..%2fb", Err(DotSegment)),
            ("/...", Ok("/...")),
            ("/a..b/.c/d.", Ok("/a..b/.c/d.")),
            ("/.well-known/x", Ok("/.well-known/x")),
            ("/;..", Ok("/;..")),
            // What is kept.
            ("//a//b", Ok("//a//b")),
            ("/a;v=1/b", Ok("/a;v=1/b")),
            ("/group%2fproject", Ok("/group%2Fproject")),
            ("/a\\b", Err(Backslash)),
            ("/a%5cb", Ok("/a%5Cb")),
            ("/ä", Ok("/ä")),
        ] {
            let found = normal_path(path);
            assert_eq!(found.as_deref().map_err(|why| *why), expected, "{path}");
        }
    }

    #[test]
    fn a_uri_keeps_everything_but_its_path() {
        for (uri, expected) in [
            ("http://a:80/%61?%61=%2f", "http://a:80/a?%61=%2f"),
            ("/%61", "/a"),
            ("/a?..", "/a?.."),
            ("http://a", "http://a/"),
        ] {
            let mut found: Uri = uri.parse().unwrap();
            normalise(&mut found).unwrap();
            assert_eq!(found.to_string(), expected);
        }
        let mut refused: Uri = "/a/..".parse().unwrap();
        assert_eq!(normalise(&mut refused), Err(Refused::DotSegment));
        assert_eq!(Fault::from(Refused::DotSegment).status(), 400);
    }

    proptest! {
        #[test]
        fn a_normal_path_stays_as_it_is(path in "/([a/.;%2eEfF5cC01\\\\]|%2[eEfF]|%[46]1){0,12}") {
            if let Ok(normal) = normal_path(&path) {
                prop_assert_eq!(normal_path(&normal), Ok(Cow::Borrowed(&*normal)));
                let decoded = normal.replace("%2F", "/").replace("%5C", "/");
                prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }
    }
}
