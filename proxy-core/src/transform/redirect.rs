//! Answers with a redirect: status and `Location` (RFC 9110, 15.4 and 10.2.2).
//!
//! `Location` is always absolute, so that no path of a request can be read as a host. What it is made
//! of is as in Gateway API's
//! [HTTPRequestRedirectFilter](https://gateway-api.sigs.k8s.io/reference/spec/#httprequestredirectfilter):
//! what is not configured is the request's own, except the port, which is the configured one, or the
//! well-known one of a configured scheme, or the listener's. A well-known port is not written.
//!
//! Where a proxy in front that is believed says in `X-Forwarded-Proto` how the client came to it, that is the request's
//! own scheme: a client that came by TLS is not sent away from it. `X-Forwarded-Host` is not heeded: many proxies pass on
//! what a client wrote there, and it would be led wherever somebody else wants.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::header::{HOST, HeaderValue, LOCATION};
use http::uri::{Authority, Scheme};
use http::{HeaderName, Request, Response, StatusCode};
use tower::Service;

use super::{PathChange, WrongPath};
use crate::body::Body;
use crate::fault::{Fault, Reason};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where clients are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// `http` or `https`; the listener's by default.
    pub scheme: Option<Scheme>,
    /// A host without a port; the request's own by default.
    pub host: Option<String>,
    /// A port.
    pub port: Option<u16>,
    /// The path; the request's own by default.
    pub path: Option<PathChange>,
    /// 301, 302, 303, 307 or 308. After 307 and 308 a client keeps the method.
    pub status: StatusCode,
    /// What the listener speaks.
    pub listener_scheme: Scheme,
    /// Whether what stands in `X-Forwarded-Proto` is true: nobody wrote it who is not believed.
    pub forwarded: bool,
    /// The port that clients connect to. None is that of the request's authority, for a listener whose
    /// port is mapped on the way.
    pub listener_port: Option<u16>,
}

impl Default for Params {
    /// 302 to where the request came to by `http`.
    fn default() -> Self {
        Self {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: StatusCode::FOUND,
            listener_scheme: Scheme::HTTP,
            forwarded: false,
            listener_port: None,
        }
    }
}

/// Why a redirect cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The status is no redirect that a client follows.
    #[error("{0} is no redirect: take 301, 302, 303, 307 or 308")]
    Status(StatusCode),
    /// The scheme is not HTTP's.
    #[error("the scheme `{0}` is neither `http` nor `https`")]
    Scheme(Scheme),
    /// The host is none.
    #[error("`{0}` is no host without a port")]
    Host(String),
    /// The path is none.
    #[error(transparent)]
    Path(#[from] WrongPath),
}

/// Redirects every request. It reads no body.
#[derive(Debug, Clone)]
pub struct Redirect {
    params: Params,
}

impl Redirect {
    /// Redirects by `params`.
    ///
    /// # Errors
    ///
    /// When no client could follow.
    pub fn new(params: Params) -> Result<Self, Error> {
        if ![301, 302, 303, 307, 308].contains(&params.status.as_u16()) {
            return Err(Error::Status(params.status));
        }
        for scheme in params.scheme.iter().chain([&params.listener_scheme]) {
            if well_known(scheme).is_none() {
                return Err(Error::Scheme(scheme.clone()));
            }
        }
        if let Some(host) = &params.host {
            let whole = host
                .parse::<Authority>()
                .is_ok_and(|own| own.host() == host);
            if !whole || host.is_empty() {
                return Err(Error::Host(host.clone()));
            }
        }
        if let Some(path) = &params.path {
            path.check()?;
        }
        Ok(Self { params })
    }

    /// Where `request` is sent.
    fn location<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let params = &self.params;
        let headers = request.headers();
        let told = params
            .forwarded
            .then(|| headers.get(X_FORWARDED_PROTO))
            .flatten();
        let header = || Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
        let own = request.uri().authority().cloned().or_else(header);
        let host = match &params.host {
            Some(host) => host.as_str(),
            None => own.as_ref()?.host(),
        };
        let met = match told.map(HeaderValue::as_bytes) {
            Some(b"https") => &Scheme::HTTPS,
            Some(b"http") => &Scheme::HTTP,
            _ => &params.listener_scheme,
        };
        let scheme = params.scheme.as_ref().unwrap_or(met);
        // The port of a listener that the client did not come to itself says nothing.
        let listener_port = params
            .listener_port
            .filter(|_| *met == params.listener_scheme);
        let port = params.port.or_else(|| match params.scheme {
            Some(_) => None,
            None => listener_port.or_else(|| own.as_ref()?.port_u16()),
        });
        let port = port.filter(|port| Some(*port) != well_known(scheme));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let changed = params.path.as_ref().and_then(|path| path.of(request.uri()));
        let path = changed.as_ref().or(request.uri().path_and_query());
        let path = path.map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path } else { "/" };
        HeaderValue::from_str(&format!("{scheme}://{host}{port}{path}")).ok()
    }
}

fn well_known(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl Service<Request<Body>> for Redirect {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Ready<Result<Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(location) = self.location(&request) else {
            let detail = "the request has no host that it could be redirected to";
            return ready(Err(Fault::unseen(Reason::RequestError, detail)));
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.params.status;
        response.headers_mut().insert(LOCATION, location);
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    fn location(params: Params, target: &str, host: Option<&'static str>) -> Option<String> {
        let mut request = Request::new(());
        *request.uri_mut() = target.parse::<Uri>().unwrap();
        if let Some(host) = host {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_static(host));
        }
        let found = Redirect::new(params).unwrap().location(&request)?;
        Some(found.to_str().unwrap().to_owned())
    }

    /// `SCHEME HOST PORT LISTENER-SCHEME LISTENER-PORT`, `-` for what is not configured.
    fn params(text: &str) -> Params {
        let mut words = text
            .split(' ')
            .map(|word| Some(word).filter(|word| *word != "-"));
        let mut next = || words.next().unwrap();
        let scheme = |text: &str| text.parse::<Scheme>().unwrap();
        Params {
            scheme: next().map(scheme),
            host: next().map(str::to_owned),
            port: next().map(|port| port.parse().unwrap()),
            listener_scheme: next().map(scheme).unwrap(),
            listener_port: next().map(|port| port.parse().unwrap()),
            ..Params::default()
        }
    }

    #[test]
    fn locations_have_the_port_that_gateway_api_says() {
        for (configured, target, host, expected) in [
            ("- - - http 80", "/a?b=c", "a.com", "http://a.com/a?b=c"),
            ("- - - http 8080", "/", "a.com", "http://a.com:8080/"),
            ("- - - http -", "/", "a.com:8080", "http://a.com:8080/"),
            ("- - - http -", "/", "a.com:80", "http://a.com/"),
            ("- - - https 443", "/", "a.com", "https://a.com/"),
            ("- - - https 8443", "/", "a.com:1", "https://a.com:8443/"),
            ("- b.org - http 80", "/", "a.com", "http://b.org/"),
            ("- b.org - http 8080", "/", "a.com", "http://b.org:8080/"),
            ("- - 8080 http 80", "/", "a.com", "http://a.com:8080/"),
            ("- - 80 http 8080", "/", "a.com", "http://a.com/"),
            ("- - 443 http 80", "/", "a.com", "http://a.com:443/"),
            // A configured scheme brings its port.
            ("https - - http 8080", "/", "a.com:8080", "https://a.com/"),
            ("https - 443 http 80", "/", "a.com", "https://a.com/"),
            ("https - 8443 http 80", "/", "a.com", "https://a.com:8443/"),
            ("http - - https 8443", "/", "a.com", "http://a.com/"),
            ("http - 80 https 443", "/", "a.com", "http://a.com/"),
            // Other forms of a request.
            (
                "https - - http 80",
                "http://A.com:80/x",
                "other",
                "https://A.com/x",
            ),
            ("- - - http 80", "/", "[::1]:80", "http://[::1]/"),
            (
                "- - - http 80",
                "//evil.com/..",
                "a.com",
                "http://a.com//evil.com/..",
            ),
            ("- - - http 80", "*", "a.com", "http://a.com/"),
        ] {
            let found = location(params(configured), target, Some(host));
            assert_eq!(found.as_deref(), Some(expected), "{configured}: {target}");
        }
    }

    #[test]
    fn how_a_client_came_to_a_proxy_in_front_is_the_requests_own_scheme() {
        for (listener, host, proto, expected) in [
            ("http 80", "a.com", "https", "https://a.com/x"),
            ("http 8080", "a.com", "https", "https://a.com/x"),
            ("http -", "a.com:8443", "https", "https://a.com:8443/x"),
            ("https 443", "a.com", "http", "http://a.com/x"),
            ("http 80", "a.com", "gopher", "http://a.com/x"),
            ("http 80", "a.com", "https, http", "http://a.com/x"),
        ] {
            let mut request = Request::new(());
            *request.uri_mut() = "/x".parse().unwrap();
            let headers = request.headers_mut();
            headers.insert(HOST, HeaderValue::from_static(host));
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
            let evil = HeaderValue::from_static("evil.com");
            headers.insert("x-forwarded-host", evil);
            let of = |forwarded| {
                let params = params(&format!("- - - {listener}"));
                let params = Params {
                    forwarded,
                    ..params
                };
                let location = Redirect::new(params).unwrap().location(&request).unwrap();
                location.to_str().unwrap().to_owned()
            };
            assert_eq!(of(true), expected, "{proto}");
            let own = listener.split(' ').next().unwrap();
            assert!(
                of(false).starts_with(&format!("{own}://a.com")),
                "nobody is believed"
            );
        }
    }

    #[test]
    fn paths_are_changed() {
        let prefix = PathChange::Prefix {
            from: "/old".to_owned(),
            to: "/new".to_owned(),
        };
        for (path, target, expected) in [
            (prefix.clone(), "/old/a?b", "http://a.com/new/a?b"),
            (prefix, "/older", "http://a.com/older"),
            (
                PathChange::Full("/x".to_owned()),
                "/old?b",
                "http://a.com/x?b",
            ),
        ] {
            let path = Some(path);
            let params = Params {
                path,
                ..Params::default()
            };
            assert_eq!(
                location(params, target, Some("a.com")).as_deref(),
                Some(expected)
            );
        }
    }

    #[tokio::test]
    async fn the_answer_has_a_status_and_a_location() {
        for status in [301, 302, 303, 307, 308] {
            let status = StatusCode::from_u16(status).unwrap();
            let params = Params {
                status,
                ..Params::default()
            };
            let mut redirect = Redirect::new(params).unwrap();
            let mut request = Request::new(Body::empty());
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_static("a.com"));
            let response = redirect.call(request).await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[LOCATION], "http://a.com/");
            let fault = redirect
                .call(Request::new(Body::empty()))
                .await
                .unwrap_err();
            assert_eq!(fault.status(), 400);
        }
    }

    #[test]
    fn what_no_client_could_follow_is_refused() {
        let refused = |params| Redirect::new(params).unwrap_err();
        for status in [200, 300, 304, 305, 400] {
            let status = StatusCode::from_u16(status).unwrap();
            let params = Params {
                status,
                ..Params::default()
            };
            assert_eq!(refused(params), Error::Status(status));
        }
        for host in ["", "a.com:80", "ann@a.com", "a/b", "a b"] {
            let params = Params {
                host: Some(host.to_owned()),
                ..Params::default()
            };
            assert_eq!(refused(params), Error::Host(host.to_owned()));
        }
        let scheme: Scheme = "ftp".parse().unwrap();
        let params = Params {
            scheme: Some(scheme.clone()),
            ..Params::default()
        };
        assert_eq!(refused(params), Error::Scheme(scheme));
        let path = Some(PathChange::Full("a".to_owned()));
        let params = Params {
            path,
            ..Params::default()
        };
        assert!(matches!(refused(params), Error::Path(_)));
    }
}
