//! The request as the upstream must see it: target form, authority and version of the upstream's protocol.

use http::header::{COOKIE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Uri, Version};
use http_body::Body as _;

use crate::body::Body;

/// The authority that the upstream is given.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) authority: Authority,
    pub(super) host: HeaderValue,
    /// Whether the workload's own authority goes before these, where it wrote one.
    pub(super) keep: bool,
    /// What `:scheme` says.
    pub(super) scheme: Scheme,
}

/// Origin form and a Host field, as HTTP/1.1 wants it. True when the request's own authority is to be
/// kept and it has none: the Host that it is given is this endpoint's alone.
pub(super) fn for_http1(request: &mut Request<Body>, names: &Names) -> bool {
    let own = match request.uri().authority().filter(|_| names.keep) {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => None,
    };
    let lent = names.keep && own.is_none() && !request.headers().contains_key(HOST);
    if own.is_some() || !names.keep || lent {
        let host = own.unwrap_or_else(|| names.host.clone());
        request.headers_mut().insert(HOST, host);
    }
    if request.uri().authority().is_some() {
        let path = path_of(request.uri());
        *request.uri_mut() = Uri::from(path);
    }
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        // A body of unknown length must be chunked, whatever the method.
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    if request.version() == Version::HTTP_2 {
        join_cookies(request.headers_mut());
    }
    *request.version_mut() = Version::HTTP_11;
    lent
}

/// Absolute form and no field of HTTP/1, as HTTP/2 wants it.
pub(super) fn for_http2(request: &mut Request<Body>, names: &Names) {
    let headers = request.headers_mut();
    let host = headers.remove(HOST);
    for name in [
        http::header::CONNECTION,
        http::header::UPGRADE,
        http::header::EXPECT,
    ] {
        headers.remove(name);
    }
    let own = request.uri().authority().cloned();
    let own = own
        .or_else(|| Authority::try_from(host?.as_bytes()).ok())
        .filter(|_| names.keep);
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path_of(request.uri()));
    parts.scheme = Some(names.scheme.clone());
    parts.authority = Some(own.unwrap_or_else(|| names.authority.clone()));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = Version::HTTP_2;
}

fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// HTTP/2 may split a cookie into crumbs; HTTP/1 wants one field (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let Some(first) = crumbs.next() else { return };
    let mut joined = first.as_bytes().to_vec();
    let mut several = false;
    for crumb in crumbs {
        several = true;
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    if several && let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keep: bool) -> Names {
        Names {
            authority: "users:8080".parse().unwrap(),
            host: HeaderValue::from_static("users:8080"),
            keep,
            scheme: Scheme::HTTP,
        }
    }

    #[test]
    fn http2_becomes_http1() {
        let mut request = Request::builder()
            .version(Version::HTTP_2)
            .uri("http://localhost:9000/a?b=c")
            .header(COOKIE, "a=1")
            .header(COOKIE, "b=2")
            .body(Body::empty())
            .unwrap();
        for_http1(&mut request, &names(false));
        assert_eq!(request.uri(), "/a?b=c");
        assert_eq!(request.headers()[HOST], "users:8080");
        assert_eq!(request.headers()[COOKIE], "a=1; b=2");
    }

    #[test]
    fn the_workloads_own_authority_can_be_kept() {
        let mut request = Request::builder()
            .uri("http://shop/a")
            .body(Body::empty())
            .unwrap();
        for_http1(&mut request, &names(true));
        assert_eq!(
            (request.uri().to_string(), &request.headers()[HOST]),
            ("/a".into(), &HeaderValue::from_static("shop"))
        );
    }

    #[test]
    fn a_request_without_an_authority_gets_the_endpoints() {
        for keep in [false, true] {
            let mut request = Request::new(Body::empty());
            for_http1(&mut request, &names(keep));
            assert_eq!(request.headers()[HOST], "users:8080");
            let mut request = Request::new(Body::empty());
            for_http2(&mut request, &names(keep));
            assert_eq!(request.uri(), "http://users:8080/");
        }
    }

    #[test]
    fn http1_becomes_http2() {
        let mut request = Request::builder()
            .uri("/a")
            .header(HOST, "localhost")
            .body(Body::empty())
            .unwrap();
        for_http2(&mut request, &names(false));
        assert_eq!(request.uri(), "http://users:8080/a");
        assert!(!request.headers().contains_key(HOST));
    }
}
