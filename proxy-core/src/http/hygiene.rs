//! Makes of each message what may cross a proxy: no hop-by-hop field, one authority.
//!
//! RFC 9110 section 7.6.1 names the fields that end at a hop, `Connection` names further ones.
//! `TE: trailers` stays, because trailers are forwarded. An upgrade is carried to the upstream,
//! except `h2c`, which names the hop's own protocol. A request that leaves its authority in doubt
//! is refused (RFC 9112, section 3.2).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{
    CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::forwarded::is_claim;
use super::hops;
use super::http1::{FIELDS, Handover};
use crate::body::Body;
use crate::fault::{Fault, Reason};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Wraps services in [`Hygiene`].
#[derive(Debug, Clone, Default)]
pub struct HygieneLayer;

impl<S> Layer<S> for HygieneLayer {
    type Service = Hygiene<S>;

    fn layer(&self, inner: S) -> Hygiene<S> {
        Hygiene { inner }
    }
}

/// Cleans requests on their way up and responses on their way down.
#[derive(Debug, Clone)]
pub struct Hygiene<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Hygiene<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = HygieneFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match clean_request(&mut request) {
            Ok(None) => HygieneFuture::Sent {
                inner: self.inner.call(request),
            },
            Ok(Some(own)) => HygieneFuture::Answered {
                answer: Some(Ok(own)),
            },
            Err(fault) => HygieneFuture::Answered {
                answer: Some(Err(fault)),
            },
        }
    }
}

pin_project! {
    /// The response of [`Hygiene`].
    #[project = Step]
    pub enum HygieneFuture<F> {
        /// The request went on.
        Sent {
            #[pin]
            inner: F,
        },
        /// The request was refused, or went as far as it may.
        Answered {
            answer: Option<Result<Response<Body>, Fault>>,
        },
    }
}

impl<F> Future for HygieneFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Step::Sent { inner } => {
                let mut response = ready!(inner.poll(cx))?;
                clean_response(&mut response);
                Poll::Ready(Ok(response))
            }
            Step::Answered { answer } => answer.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

/// An answer of our own, if the request goes no further.
fn clean_request(request: &mut Request<Body>) -> Result<Option<Response<Body>>, Fault> {
    if *request.method() == Method::CONNECT {
        return Err(refuse("CONNECT is not served"));
    }
    if has_too_many(request.headers()) {
        return Err(refuse("the request has more than 100 fields")
            .with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    check_path(request)?;
    check_authority(request)?;
    let met = Met::among(request.headers());
    if met.any_hop() && !is_only_chunked(request.headers()) {
        return Err(refuse(
            "the request has a transfer coding other than chunked",
        ));
    }
    let upgrade = match met.any_hop() {
        true => wanted_upgrade(request.version(), request.headers()),
        false => None,
    };
    strip(request.headers_mut(), met);
    match upgrade {
        Some(protocol) => restore_upgrade(request.headers_mut(), protocol),
        None if met.any_hop() => {
            request.extensions_mut().remove::<Handover>();
        }
        None => {}
    }
    Ok(hops::answer_last(request))
}

/// As over HTTP/1.1, where a `traceparent` was not added yet when they were counted. HTTP/2 may send each cookie in a
/// field of its own (RFC 9113, 8.2.3): they are one.
fn has_too_many(headers: &HeaderMap) -> bool {
    let most = FIELDS + 1;
    let cookies = || headers.get_all(COOKIE).iter().count();
    headers.len() > most && headers.len() - cookies().saturating_sub(1) > most
}

/// A path, or for the server as a whole `*` (RFC 9112, 3.2.4; RFC 9113, 8.3.1).
fn check_path(request: &Request<Body>) -> Result<(), Fault> {
    let path = request.uri().path_and_query();
    match path.map_or("/", |path| path.as_str()).as_bytes() {
        [b'/', ..] => Ok(()),
        b"*" if *request.method() == Method::OPTIONS => Ok(()),
        b"*" => Err(refuse("only OPTIONS asks for `*`")),
        _ => Err(refuse("the request's path does not begin with `/`")),
    }
}

fn clean_response(response: &mut Response<Body>) {
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = if switching {
        response.headers().get(UPGRADE).cloned()
    } else {
        None
    };
    let met = Met::among(response.headers());
    strip(response.headers_mut(), met);
    if let Some(protocol) = upgrade {
        restore_upgrade(response.headers_mut(), protocol);
    }
    *response.version_mut() = Version::HTTP_11;
}

/// One authority for routing and forwarding, or none of it.
fn check_authority(request: &Request<Body>) -> Result<(), Fault> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(refuse("the request has more than one Host"));
    }
    if host.is_some_and(|host| !is_host_and_port(host.as_bytes())) {
        return Err(refuse("the request's Host is not a host and port"));
    }
    match (request.uri().authority(), host) {
        (Some(authority), _) if authority.as_str().contains('@') => {
            Err(refuse("the request's target holds user information"))
        }
        (Some(authority), _) if !is_host_and_port(authority.as_str().as_bytes()) => {
            Err(refuse("the request's authority is not a host and port"))
        }
        (Some(authority), Some(host)) if request.version() == Version::HTTP_2 => {
            let same = host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes());
            if same {
                Ok(())
            } else {
                Err(refuse("the request's Host differs from its :authority"))
            }
        }
        (None, None) if request.version() == Version::HTTP_11 => {
            Err(refuse("the request has no Host"))
        }
        _ => Ok(()),
    }
}

/// Whether it is a host, and maybe a port (RFC 3986, 3.2.2 and 3.2.3). What stands behind a second colon, or is no
/// number, could be taken for a part of the name by one program and not by the next.
fn is_host_and_port(authority: &[u8]) -> bool {
    let end = match authority.first() {
        Some(b'[') => match authority.iter().position(|byte| *byte == b']') {
            Some(last) => last + 1,
            None => return false,
        },
        _ => authority
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(end);
    let port = rest.strip_prefix(b":").unwrap_or(rest);
    let is_port = (rest.is_empty() || rest.starts_with(b":")) && port.len() <= 5;
    is_port
        && port.iter().all(u8::is_ascii_digit)
        && host.iter().all(|byte| is_of_an_authority(*byte))
}

/// What a host may consist of; user information is not among it.
fn is_of_an_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// Whether the message has no transfer coding but `chunked`: any other would be lost on the way.
pub(super) fn is_only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

fn refuse(detail: &'static str) -> Fault {
    Fault::unseen(Reason::RequestError, detail)
}

/// The protocol that a request asks to switch to, where that can be carried on.
fn wanted_upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    if version != Version::HTTP_11 {
        return None;
    }
    let protocol = headers.get(UPGRADE)?;
    let asks = headers
        .get_all(CONNECTION)
        .iter()
        .any(|value| names(value, "upgrade"));
    let is_h2c = tokens(protocol).any(|token| token.eq_ignore_ascii_case("h2c"));
    (asks && !is_h2c).then(|| protocol.clone())
}

fn restore_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// The fields that end at each hop (RFC 9110, 7.6.1), `TE` apart: what it says of trailers goes on.
static HOP: [HeaderName; 5] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What one pass over the names finds, so that what is not there costs no look-up.
#[derive(Clone, Copy, Default)]
struct Met {
    /// Which of [`HOP`].
    hop: [bool; 5],
    te: bool,
}

impl Met {
    fn among(headers: &HeaderMap) -> Self {
        let mut met = Self::default();
        for name in headers.keys() {
            // Lengths first: few other fields in use share them.
            match name.as_str().len() {
                2 => met.te |= *name == TE,
                7 | 10 | 16 | 17 => {
                    if let Some(index) = HOP.iter().position(|hop| hop == name) {
                        met.hop[index] = true;
                    }
                }
                _ => {}
            }
        }
        met
    }

    fn any_hop(self) -> bool {
        self.hop.contains(&true)
    }
}

/// Removes from the fields of any message what ends at this hop.
pub(super) fn strip_hop(headers: &mut HeaderMap) {
    strip(headers, Met::among(headers));
}

/// Removes what ends at this hop.
fn strip(headers: &mut HeaderMap, met: Met) {
    if met.hop[0] {
        for name in listed(headers) {
            headers.remove(name);
        }
    }
    for (name, _) in HOP.iter().zip(met.hop).filter(|(_, met)| *met) {
        headers.remove(name);
    }
    if met.te {
        let mut wanted = headers.get_all(TE).iter();
        let trailers = wanted.any(|value| names(value, "trailers"));
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
}

/// The fields that `Connection` lists and that are not removed anyway.
fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    const ANYWAY: [&str; 4] = ["keep-alive", "close", "upgrade", "te"];
    let listed = headers.get_all(CONNECTION).iter().flat_map(tokens);
    listed
        .filter(|token| !ANYWAY.iter().any(|known| known.eq_ignore_ascii_case(token)))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !is_protected(name))
        .collect()
}

/// Fields that `Connection` cannot take away from the next hop: the message would change its meaning, or
/// its sender.
fn is_protected(name: &HeaderName) -> bool {
    use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
    [
        &HOST,
        &CONTENT_LENGTH,
        &AUTHORIZATION,
        &COOKIE,
        &CONTENT_TYPE,
    ]
    .contains(&name)
        || is_claim(name)
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value
        .to_str()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn names(value: &HeaderValue, wanted: &str) -> bool {
    tokens(value).any(|token| {
        token
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, fields: &[(&'static str, &'static str)]) -> Request<Body> {
        let mut request = Request::builder()
            .version(version)
            .uri("/")
            .body(Body::empty())
            .unwrap();
        for (name, value) in fields {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        request
    }

    fn cleaned(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut request = request(Version::HTTP_11, fields);
        clean_request(&mut request).unwrap();
        std::mem::take(request.headers_mut())
    }

    #[test]
    fn fields_of_the_hop_and_those_that_connection_names_end_here() {
        let headers = cleaned(&[
            ("host", "a"),
            ("connection", "close, X-Mine"),
            ("connection", "host, x-forwarded-for, Forwarded"),
            ("x-mine", "1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("x-other", "2"),
        ]);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "host: a",
                "te: trailers",
                "x-forwarded-for: 192.0.2.1",
                "x-other: 2"
            ]
        );
    }

    #[test]
    fn an_upgrade_is_carried_and_h2c_is_not() {
        let headers = cleaned(&[
            ("host", "a"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
        ]);
        assert_eq!(headers[UPGRADE], "websocket");
        assert_eq!(headers[CONNECTION], "upgrade");
        let headers = cleaned(&[
            ("host", "a"),
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
        ]);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_doubtful_authority_is_refused() {
        let refused = |request: &mut Request<Body>| clean_request(request).is_err();
        assert!(refused(&mut request(Version::HTTP_11, &[])));
        assert!(refused(&mut request(
            Version::HTTP_11,
            &[("host", "a"), ("host", "a")]
        )));
        let mut h2 = request(Version::HTTP_2, &[("host", "b")]);
        *h2.uri_mut() = "http://a/".parse().unwrap();
        assert!(refused(&mut h2));
        assert!(refused(&mut request(Version::HTTP_11, &[("host", "u@a")])));
        assert!(refused(&mut request(Version::HTTP_11, &[("host", "a/b")])));
        for doubtful in [
            "a:x", "a:80x", "a:+1", "a:80:1", "a:123456", "[::1]x", "[::1",
        ] {
            let fields = [("host", doubtful)];
            assert!(
                refused(&mut request(Version::HTTP_11, &fields)),
                "{doubtful}"
            );
            let mut h2 = request(Version::HTTP_2, &[]);
            if let Ok(uri) = format!("http://{doubtful}/").parse() {
                *h2.uri_mut() = uri;
                assert!(refused(&mut h2), "{doubtful}");
            }
        }
        for clear in ["a", "a:", "a:80", "[::1]", "[::1]:80", "a.b:65535"] {
            let fields = [("host", clear)];
            assert!(!refused(&mut request(Version::HTTP_11, &fields)), "{clear}");
        }
        assert!(!refused(&mut request(Version::HTTP_10, &[])));
    }
}
