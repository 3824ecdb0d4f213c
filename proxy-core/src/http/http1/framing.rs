//! Where a message ends, and whether its connection outlives it (RFC 9112, sections 6 and 9.3).

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Method, StatusCode, Version};

/// How the end of a message's body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// There is no body.
    None,
    /// After so many bytes, at least one.
    Exact(u64),
    /// It says so itself: chunked transfer coding.
    Chunked,
    /// When the connection closes: responses only.
    UntilClose,
}

/// What is wrong with a message that does not say clearly where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclear(pub(super) &'static str);

impl Length {
    pub(super) fn exactly(bytes: u64) -> Self {
        if bytes == 0 {
            Self::None
        } else {
            Self::Exact(bytes)
        }
    }
}

/// Which of the fields that frame a message it has: known from reading it, so that most are never looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::http) struct Framed {
    pub(in crate::http) connection: bool,
    pub(in crate::http) keep_alive: bool,
    pub(in crate::http) length: bool,
    pub(in crate::http) coding: bool,
    pub(in crate::http) te: bool,
    pub(in crate::http) upgrade: bool,
    pub(in crate::http) expect: bool,
}

impl Framed {
    /// Notes a field's name.
    pub(super) fn see(&mut self, name: &HeaderName) {
        match name.as_str().len() {
            2 => self.te |= *name == TE,
            6 => self.expect |= *name == EXPECT,
            7 => self.upgrade |= *name == UPGRADE,
            10 => {
                self.connection |= *name == CONNECTION;
                self.keep_alive |= name.as_str() == "keep-alive";
            }
            14 => self.length |= *name == CONTENT_LENGTH,
            17 => self.coding |= *name == TRANSFER_ENCODING,
            _ => {}
        }
    }
}

/// The length of a received request. A repeated Content-Length is made one.
pub(super) fn of_request(
    version: Version,
    framed: Framed,
    headers: &mut HeaderMap,
) -> Result<Length, Unclear> {
    if framed.coding {
        return chunked(version, framed, headers);
    }
    Ok(content_length(framed, headers)?.map_or(Length::None, Length::exactly))
}

/// The length of a received response to `method`.
pub(super) fn of_response(
    method: &Method,
    status: StatusCode,
    version: Version,
    framed: Framed,
    headers: &mut HeaderMap,
) -> Result<Length, Unclear> {
    let coded = match framed.coding {
        true => Some(chunked(version, framed, headers)?),
        false => None,
    };
    let length = content_length(framed, headers)?;
    if *method == Method::HEAD || is_bodiless(status) {
        return Ok(Length::None);
    }
    Ok(coded.unwrap_or_else(|| length.map_or(Length::UntilClose, Length::exactly)))
}

/// Whether responses of this status never have a body (RFC 9110, 6.4.1).
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Whether the sender of this message keeps the connection open after it.
pub(super) fn keeps_alive(version: Version, framed: Framed, headers: &HeaderMap) -> bool {
    if !framed.connection {
        return version == Version::HTTP_11;
    }
    let (mut close, mut keep) = (false, false);
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            close |= token.eq_ignore_ascii_case(b"close");
            keep |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    !close && (keep || version == Version::HTTP_11)
}

/// A transfer coding, which must be `chunked` alone: any other would be lost on the way, and beside
/// a length it could be read in two ways.
fn chunked(version: Version, framed: Framed, headers: &HeaderMap) -> Result<Length, Unclear> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let only = codings
        .next()
        .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !only || codings.next().is_some() {
        return Err(Unclear("a transfer coding other than chunked"));
    }
    if version != Version::HTTP_11 {
        return Err(Unclear("a transfer coding, which HTTP/1.0 does not know"));
    }
    if framed.length {
        return Err(Unclear("both a Content-Length and a Transfer-Encoding"));
    }
    Ok(Length::Chunked)
}

fn content_length(framed: Framed, headers: &mut HeaderMap) -> Result<Option<u64>, Unclear> {
    if !framed.length {
        return Ok(None);
    }
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    let length = decimal(first.as_bytes()).ok_or(Unclear("a Content-Length that is no number"))?;
    let mut repeated = false;
    for value in values {
        repeated = true;
        if value != first {
            return Err(Unclear("more than one Content-Length"));
        }
    }
    if repeated {
        let first = first.clone();
        headers.insert(CONTENT_LENGTH, first);
    }
    Ok(Some(length))
}

/// Digits alone: no sign, no space, no overflow.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
