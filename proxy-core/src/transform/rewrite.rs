//! Changes path and host of a request before it goes on; the client never learns.
//!
//! The host is what `Host` and `:authority` say. It reaches the upstream only where the client passes on the
//! request's own authority (`host: keep`).

use std::task::{Context, Poll};

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Uri};
use tower::{Layer, Service};

use super::{PathChange, WrongPath};
use crate::body::Body;
use crate::fault::Fault;

/// What is changed. By default nothing is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// The path.
    pub path: Option<PathChange>,
    /// The host, with a port where there is to be one.
    pub host: Option<Authority>,
}

/// Why a rewrite cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A path is none.
    #[error(transparent)]
    Path(#[from] WrongPath),
    /// The host holds user information, which no request may carry (RFC 9110, 4.2.4).
    #[error("the host `{0}` holds user information")]
    UserInformation(Authority),
}

/// Wraps services in [`Rewrite`].
#[derive(Debug, Clone)]
pub struct RewriteLayer {
    path: Option<PathChange>,
    host: Option<(Authority, HeaderValue)>,
}

impl RewriteLayer {
    /// Rewrites by `params`.
    ///
    /// # Errors
    ///
    /// When a path or the host could not stand in a request.
    pub fn new(params: Params) -> Result<Self, Error> {
        if let Some(path) = &params.path {
            path.check()?;
        }
        let host = params.host.map(|host| {
            let value = HeaderValue::from_str(host.as_str()).ok();
            match value.filter(|_| !host.as_str().contains('@')) {
                Some(value) => Ok((host, value)),
                None => Err(Error::UserInformation(host)),
            }
        });
        Ok(Self {
            path: params.path,
            host: host.transpose()?,
        })
    }
}

impl<S> Layer<S> for RewriteLayer {
    type Service = Rewrite<S>;

    fn layer(&self, inner: S) -> Rewrite<S> {
        let layer = self.clone();
        Rewrite { inner, layer }
    }
}

/// Changes each request and hands it on.
#[derive(Debug, Clone)]
pub struct Rewrite<S> {
    inner: S,
    layer: RewriteLayer,
}

impl<S> Service<Request<Body>> for Rewrite<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        let path = self.layer.path.as_ref();
        let path = path.and_then(|change| change.of(request.uri()));
        let host = self.layer.host.as_ref();
        if let Some((_, value)) = host {
            request.headers_mut().insert(HOST, value.clone());
        }
        let authority = host.map(|(authority, _)| authority);
        if path.is_some() || authority.is_some() {
            replace(request.uri_mut(), path, authority);
        }
        self.inner.call(request)
    }
}

/// A target without an authority gets none: its host is in the header.
fn replace(uri: &mut Uri, path: Option<PathAndQuery>, authority: Option<&Authority>) {
    let mut parts = std::mem::take(uri).into_parts();
    if let Some(path) = path {
        parts.path_and_query = Some(path);
    }
    if let Some(authority) = authority
        && parts.authority.is_some()
    {
        parts.authority = Some(authority.clone());
    }
    // The parts are those of a URI, each exchanged for one of its kind.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn rewritten(params: Params, request: Request<Body>) -> (String, Option<HeaderValue>) {
        let layer = RewriteLayer::new(params).unwrap();
        let service = layer.layer(service_fn(|request: Request<Body>| async move {
            let mut response = Response::new(Body::full(request.uri().to_string()));
            *response.headers_mut() = request.headers().clone();
            Ok::<_, Fault>(response)
        }));
        let response = service.oneshot(request).await.unwrap();
        let host = response.headers().get(HOST).cloned();
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap();
        (String::from_utf8(body.to_bytes().into()).unwrap(), host)
    }

    fn get(target: &str, host: Option<&'static str>) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = target.parse().unwrap();
        if let Some(host) = host {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_static(host));
        }
        request
    }

    #[tokio::test]
    async fn path_and_host_are_changed_in_every_form() {
        let full = || Some(PathChange::Full("/one".to_owned()));
        let host = || Some(Authority::from_static("b.com:81"));
        for (path, to, target, own, expected, told) in [
            (full(), None, "/a?q", Some("a.com"), "/one?q", Some("a.com")),
            (
                None,
                host(),
                "/a?q",
                Some("a.com"),
                "/a?q",
                Some("b.com:81"),
            ),
            (
                full(),
                host(),
                "http://a.com/a",
                None,
                "http://b.com:81/one",
                Some("b.com:81"),
            ),
            (
                None,
                host(),
                "http://a.com/",
                Some("a.com"),
                "http://b.com:81/",
                Some("b.com:81"),
            ),
            (None, None, "/a", None, "/a", None),
        ] {
            let params = Params { path, host: to };
            let (uri, host) = rewritten(params, get(target, own)).await;
            assert_eq!(uri, expected);
            assert_eq!(host, told.map(HeaderValue::from_static));
        }
    }

    #[test]
    fn what_could_not_be_sent_is_refused() {
        let path = Some(PathChange::Full("one".to_owned()));
        let wrong = Params { path, host: None };
        assert!(matches!(RewriteLayer::new(wrong), Err(Error::Path(_))));
        let host = Some(Authority::from_static("ann@b.com"));
        let wrong = Params { path: None, host };
        assert!(matches!(
            RewriteLayer::new(wrong),
            Err(Error::UserInformation(_))
        ));
    }
}
