//! Reads the head of a message: complete or not yet, well-formed or refused, never in doubt.
//!
//! httparse knows the grammar; what it tolerates and a proxy must not (a bare LF, a repeated length)
//! is refused here. A head is parsed when its end has come, not anew with each of its bytes.

use std::mem::MaybeUninit;
use std::sync::Arc;

use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};

use super::buffer::Buffer;
use super::case::Manner;
use super::framing::{self, Framed, Length, Unclear};
use super::names;
use crate::body::Body;

/// Fields that a head may have.
pub(in crate::http) const FIELDS: usize = 100;

/// A request's head.
#[derive(Debug)]
pub(super) struct RequestHead {
    /// With the case of its field names in the extensions, where that was asked for.
    pub(super) request: Request<Body>,
    pub(super) length: Length,
    pub(super) framed: Framed,
    /// Whether the client wants to keep the connection.
    pub(super) keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub(super) expects: bool,
}

/// A response's head.
#[derive(Debug)]
pub(in crate::http) struct ResponseHead {
    pub(in crate::http) response: Response<()>,
    pub(in crate::http) framed: Framed,
    pub(super) length: Length,
    /// Whether the upstream keeps the connection open.
    pub(super) keep_alive: bool,
}

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not HTTP, or not clearly one thing.
    Malformed(&'static str),
    /// It has too many bytes.
    TooLarge,
    /// It has more than [`FIELDS`] fields.
    TooMany,
    /// Its first line alone has too many bytes.
    TargetTooLong,
    /// It was begun, and did not come to its end in time.
    Late,
    /// It is of a version that is not spoken here.
    Version,
    /// It names another protocol than HTTP.
    Foreign,
}

impl From<Unclear> for Bad {
    fn from(Unclear(what): Unclear) -> Self {
        Self::Malformed(what)
    }
}

/// How much of an incomplete head has been looked at.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// How much was there at the last trial.
    tried: usize,
}

impl Scan {
    /// The length of the head, once its last line is there.
    fn end(&mut self, bytes: &[u8], limit: usize) -> Result<Option<usize>, Bad> {
        while let Some(feed) = memchr::memchr(b'\n', &bytes[self.line..]) {
            let feed = self.line + feed;
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(Bad::Malformed("a line ends in a bare LF"));
            }
            let is_empty = feed - self.line == 1;
            self.line = feed + 1;
            if is_empty {
                return if self.line > limit {
                    Err(Bad::TooLarge)
                } else {
                    Ok(Some(self.line))
                };
            }
        }
        match bytes.len() > limit {
            true if self.line == 0 => Err(Bad::TargetTooLong),
            true => Err(Bad::TooLarge),
            false => Ok(None),
        }
    }

    /// Whether an incomplete head is worth a trial: at first, and whenever it has doubled. What is
    /// not HTTP is found out without waiting for an end that never comes.
    fn is_due(&mut self, length: usize) -> bool {
        let due = length >= 2 * self.tried && length > 0;
        if due {
            self.tried = length;
        }
        due
    }
}

type Slots<'a> = [MaybeUninit<httparse::Header<'a>>; FIELDS];

/// Takes a request's head from the buffer, when all of it is there.
pub(super) fn request(
    buffer: &mut Buffer,
    scan: &mut Scan,
    limit: usize,
    keep_case: bool,
) -> Result<Option<RequestHead>, Bad> {
    // An empty line before a request is passed over (RFC 9112, 2.2).
    while scan.line == 0 && buffer.bytes().starts_with(b"\r\n") {
        buffer.consume(2);
    }
    if scan.line == 0 && buffer.bytes() == b"\r" {
        return Ok(None);
    }
    let Some(end) = scan.end(buffer.bytes(), limit)? else {
        if scan.is_due(buffer.len()) {
            let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; FIELDS];
            let tried = httparse::Request::new(&mut [])
                .parse_with_uninit_headers(buffer.bytes(), &mut slots);
            match tried {
                Err(httparse::Error::Version) if minor_at(buffer.bytes()).is_some() => {}
                tried => {
                    tried.map_err(|error| request_error(error, buffer.bytes()))?;
                }
            }
        }
        return Ok(None);
    };
    *scan = Scan::default();
    let bytes = Bytes::copy_from_slice(&buffer.bytes()[..end]);
    buffer.consume(end);
    parse_request(&bytes, keep_case).map(Some)
}

fn parse_request(bytes: &Bytes, keep_case: bool) -> Result<RequestHead, Bad> {
    let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, &mut slots) {
        Ok(_) => {}
        Err(httparse::Error::Version) if let Some(at) = minor_at(bytes) => {
            let mut known = bytes.to_vec();
            known[at] = b'1';
            return parse_request(&known.into(), keep_case);
        }
        Err(error) => return Err(request_error(error, bytes)),
    }
    let mut request = Request::new(Body::empty());
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Bad::Malformed("the head is not complete"));
    };
    *request.method_mut() = Method::from_bytes(method.as_bytes())
        .map_err(|_| Bad::Malformed("the method is not a token"))?;
    *request.uri_mut() = uri(bytes.slice_ref(target.as_bytes()), request.method())?;
    *request.version_mut() = version(minor);
    let (framed, manner) = headers(bytes, parsed.headers, request.headers_mut())?;
    let names = || -> Arc<[Bytes]> {
        let names = parsed.headers.iter();
        names
            .map(|field| bytes.slice_ref(field.name.as_bytes()))
            .collect()
    };
    if keep_case && let Some(case) = manner.case(names) {
        request.extensions_mut().insert(case);
    }
    let length = framing::of_request(version(minor), framed, request.headers_mut())?;
    let expects = framed.expect
        && length != Length::None
        && minor == 1
        && request
            .headers()
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(RequestHead {
        length,
        keep_alive: framing::keeps_alive(version(minor), framed, request.headers()),
        framed,
        expects,
        request,
    })
}

/// The target (RFC 9112, 3.2): a path, an absolute URI, or for the server as a whole `*`; an authority alone only where
/// it is what `CONNECT` connects to.
fn uri(target: Bytes, method: &Method) -> Result<Uri, Bad> {
    let bad = Bad::Malformed("the request target is malformed");
    if memchr::memchr(b'#', &target).is_some() {
        return Err(Bad::Malformed("the request target has a fragment"));
    }
    let is_path = target.starts_with(b"/");
    let uri = Uri::from_maybe_shared(target).map_err(|_| bad)?;
    if is_path || *method == Method::CONNECT {
        return Ok(uri);
    }
    match uri.path() {
        "*" if *method == Method::OPTIONS => Ok(uri),
        "*" => Err(Bad::Malformed("only OPTIONS asks for `*`")),
        _ if uri.scheme().is_some() => rooted(uri).ok_or(bad),
        _ => Err(bad),
    }
}

/// The same with a path: an absolute URI may have none, and a query all the same (RFC 9110, 4.2.3).
fn rooted(uri: Uri) -> Option<Uri> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if path.starts_with('/') {
        return Some(uri);
    }
    let path = format!("/{path}").parse().ok()?;
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

/// Takes a response's head from the buffer, when all of it is there. `method` is its request's.
pub(super) fn response(
    buffer: &mut Buffer,
    scan: &mut Scan,
    limit: usize,
    method: &Method,
) -> Result<Option<ResponseHead>, Bad> {
    let Some(end) = scan.end(buffer.bytes(), limit)? else {
        if scan.is_due(buffer.len()) {
            let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; FIELDS];
            httparse::ParserConfig::default()
                .parse_response_with_uninit_headers(
                    &mut httparse::Response::new(&mut []),
                    buffer.bytes(),
                    &mut slots,
                )
                .map_err(response_error)?;
        }
        return Ok(None);
    };
    *scan = Scan::default();
    let bytes = Bytes::copy_from_slice(&buffer.bytes()[..end]);
    buffer.consume(end);
    parse_response(&bytes, method).map(Some)
}

fn parse_response(bytes: &Bytes, method: &Method) -> Result<ResponseHead, Bad> {
    let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots)
        .map_err(response_error)?;
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Bad::Malformed("the head is not complete"));
    };
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(code).map_err(|_| Bad::Malformed("the status is out of range"))?;
    *response.version_mut() = version(minor);
    let (framed, _) = headers(bytes, parsed.headers, response.headers_mut())?;
    let keep_alive = framing::keeps_alive(version(minor), framed, response.headers());
    let (status, version) = (response.status(), response.version());
    let length = framing::of_response(method, status, version, framed, response.headers_mut())?;
    Ok(ResponseHead {
        response,
        framed,
        length,
        keep_alive: keep_alive && length != Length::UntilClose,
    })
}

/// Adds the fields to `headers`; says which of those that matter here are among them, and how all are written.
fn headers(
    bytes: &Bytes,
    parsed: &[httparse::Header<'_>],
    headers: &mut HeaderMap,
) -> Result<(Framed, Manner), Bad> {
    let (mut framed, mut manner) = (Framed::default(), Manner::default());
    headers.reserve(parsed.len() + 1);
    names::lend(|names| {
        for field in parsed {
            let (name, written) = names
                .find(field.name.as_bytes())
                .ok_or(Bad::Malformed("a field name is not a token"))?;
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
                .map_err(|_| Bad::Malformed("a field value holds a forbidden byte"))?;
            framed.see(&name);
            manner = manner.and(written);
            headers.append(name, value);
        }
        Ok((framed, manner))
    })
}

fn version(minor: u8) -> Version {
    if minor == 1 {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    }
}

/// Where the minor version of a request stands that is of a later HTTP/1 than 1.1, which is to be read as 1.1 (RFC 9110, 2.5).
fn minor_at(head: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'\r', head)?;
    match head.get(..end)? {
        [
            ..,
            b' ',
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'2'..=b'9',
        ] => Some(end - 1),
        _ => None,
    }
}

fn request_error(error: httparse::Error, head: &[u8]) -> Bad {
    match error {
        httparse::Error::TooManyHeaders => Bad::TooMany,
        httparse::Error::Version => version_error(head),
        httparse::Error::Token => Bad::Malformed("the request line is malformed"),
        error => field_error(error),
    }
}

/// What is wrong with a request line that does not end with a version that is spoken here.
fn version_error(head: &[u8]) -> Bad {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some(word), None) if word.starts_with(b"HTTP/") => Bad::Version,
        // As those of RTSP and SIP are, and a preface that is none of HTTP/2.
        (Some([a, b, c, ..]), None) if [a, b, c].iter().all(|byte| byte.is_ascii_uppercase()) => {
            Bad::Foreign
        }
        _ => Bad::Malformed("the request line is malformed"),
    }
}

fn response_error(error: httparse::Error) -> Bad {
    match error {
        httparse::Error::TooManyHeaders => Bad::TooMany,
        httparse::Error::Version => Bad::Version,
        httparse::Error::Status => Bad::Malformed("the status is no number"),
        error => field_error(error),
    }
}

fn field_error(error: httparse::Error) -> Bad {
    match error {
        httparse::Error::HeaderName => Bad::Malformed("a field name is malformed"),
        httparse::Error::HeaderValue => Bad::Malformed("a field value holds a forbidden byte"),
        _ => Bad::Malformed("a line does not end in CRLF"),
    }
}
