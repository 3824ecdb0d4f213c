//! Sets, adds and removes header fields of requests and responses.
//!
//! As in Gateway API's [HTTPHeaderFilter](https://gateway-api.sigs.k8s.io/reference/spec/#httpheaderfilter) a
//! name has one action. Refused are the fields that belong to the connection: those of the hop
//! (RFC 9110, 7.6.1), those that say where a message ends (RFC 9112, 6), and `Host` and `Expect` of
//! requests, which others see to.
//!
//! Workloads that get fields as CGI variables (RFC 3875, 4.1.18) read `X_User` and `X-User` as one. A request
//! that has a field set or removed therefore loses those that are read as the same.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use tower::{Layer, Service};

use super::after::{After, Change};
use crate::body::Body;
use crate::fault::Fault;

/// What is changed. By default nothing is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// Of requests, before they go on.
    pub request: Changes,
    /// Of responses, also those that were made below.
    pub response: Changes,
}

/// Changes of one direction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// These have one line with this value afterwards.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// These get one more line.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// These are gone afterwards.
    pub remove: Vec<HeaderName>,
}

/// Why header fields cannot be changed like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The field belongs to the connection, or has a place of its own.
    #[error("`{0}` belongs to the connection and is not a route's to change")]
    Reserved(HeaderName),
    /// There is more than one action for the field.
    #[error("`{0}` is named more than once; join its values with commas")]
    Repeated(HeaderName),
}

/// Wraps services in [`Headers`].
#[derive(Debug, Clone)]
pub struct HeadersLayer {
    request: Arc<Changes>,
    /// The fields of requests that are whole in our hands.
    held: Arc<[HeaderName]>,
    response: Option<Arc<Changes>>,
}

impl HeadersLayer {
    /// Changes fields by `params`.
    ///
    /// # Errors
    ///
    /// When a field is reserved or named twice.
    pub fn new(params: Params) -> Result<Self, Error> {
        params.request.check(&[header::HOST, header::EXPECT])?;
        params.response.check(&[])?;
        let response = params.response;
        let none = response == Changes::default();
        let set = params.request.set.iter().map(|(name, _)| name);
        let held = set.chain(&params.request.remove).cloned();
        Ok(Self {
            held: held.collect(),
            request: Arc::new(params.request),
            response: (!none).then(|| Arc::new(response)),
        })
    }
}

impl Changes {
    fn check(&self, further: &[HeaderName]) -> Result<(), Error> {
        let written = self.set.iter().chain(&self.add).map(|(name, _)| name);
        let mut seen: Vec<&HeaderName> = Vec::new();
        for name in written.chain(&self.remove) {
            if is_reserved(name) || further.contains(name) {
                return Err(Error::Reserved(name.clone()));
            }
            if seen.contains(&name) {
                return Err(Error::Repeated(name.clone()));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

/// Whether a field is another one than `held`, and the same to who reads `_` as `-`.
fn is_lookalike(name: &HeaderName, held: &HeaderName) -> bool {
    let (name, held) = (name.as_str().bytes(), held.as_str().bytes());
    let read = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == held.len() && !name.clone().eq(held.clone()) && name.map(read).eq(held.map(read))
}

/// Takes away what could be read as one of the fields `held`, of which none is another's lookalike.
fn drop_lookalikes(headers: &mut HeaderMap, held: &[HeaderName]) {
    let is_one = |name: &&HeaderName| {
        !held.contains(name) && held.iter().any(|held| is_lookalike(name, held))
    };
    let found: Vec<HeaderName> = headers.keys().filter(is_one).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Fields of the hop and of framing.
fn is_reserved(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
        || ["keep-alive", "proxy-connection", "http2-settings"].contains(&name.as_str())
}

impl Change for Arc<Changes> {
    fn change(&self, response: &mut Response<Body>) {
        self.apply(response.headers_mut());
    }
}

impl<S> Layer<S> for HeadersLayer {
    type Service = Headers<S>;

    fn layer(&self, inner: S) -> Headers<S> {
        let layer = self.clone();
        Headers { inner, layer }
    }
}

/// Changes header fields on the way up and on the way down.
#[derive(Debug, Clone)]
pub struct Headers<S> {
    inner: S,
    layer: HeadersLayer,
}

impl<S> Service<Request<Body>> for Headers<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = After<S::Future, Arc<Changes>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        drop_lookalikes(request.headers_mut(), &self.layer.held);
        self.layer.request.apply(request.headers_mut());
        After::new(self.inner.call(request), self.layer.response.clone())
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn pairs(lines: &[(&'static str, &'static str)]) -> Vec<(HeaderName, HeaderValue)> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(pair).collect()
    }

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs(lines) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn what_is_read_as_a_field_of_ours_goes() {
        let held = ["x-user", "x-user_id", "x_only"].map(HeaderName::from_static);
        let sent = [
            ("x_user", "0"),
            ("x-user", "1"),
            ("x_user_id", "0"),
            ("x-user-id", "0"),
            ("x-user_id", "1"),
            ("x-only", "0"),
            ("x_users", "1"),
            ("y_user", "1"),
        ];
        let mut headers = map(&sent);
        drop_lookalikes(&mut headers, &held);
        let kept = headers.values().all(|value| value == "1");
        assert!(kept && headers.len() == 4, "{headers:?}");
    }

    #[tokio::test]
    async fn both_directions_are_changed() {
        let changes = Changes {
            set: pairs(&[("a", "1")]),
            add: pairs(&[("b", "2")]),
            remove: vec![HeaderName::from_static("c")],
        };
        for (before, after) in [
            (&[][..], &[("a", "1"), ("b", "2")][..]),
            (&[("a", "x"), ("a", "y")], &[("a", "1"), ("b", "2")]),
            (&[("b", "x")], &[("b", "x"), ("a", "1"), ("b", "2")]),
            (
                &[("c", "x"), ("c", "y"), ("d", "z")],
                &[("d", "z"), ("a", "1"), ("b", "2")],
            ),
        ] {
            for both in [
                (&changes, &Changes::default()),
                (&Changes::default(), &changes),
            ] {
                let layer = HeadersLayer::new(Params {
                    request: both.0.clone(),
                    response: both.1.clone(),
                });
                let service = service_fn(|request: Request<Body>| async move {
                    let mut response = Response::new(Body::empty());
                    *response.headers_mut() = request.headers().clone();
                    Ok::<_, Fault>(response)
                });
                let mut request = Request::new(Body::empty());
                *request.headers_mut() = map(before);
                let response = layer
                    .unwrap()
                    .layer(service)
                    .oneshot(request)
                    .await
                    .unwrap();
                assert_eq!(*response.headers(), map(after));
            }
        }
    }

    #[test]
    fn what_is_not_a_routes_is_refused() {
        for name in [
            "connection",
            "content-length",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "keep-alive",
            "proxy-connection",
            "http2-settings",
            "host",
            "expect",
        ] {
            let name = HeaderName::from_static(name);
            for changes in [
                Changes {
                    remove: vec![name.clone()],
                    ..Changes::default()
                },
                Changes {
                    set: vec![(name.clone(), HeaderValue::from_static("x"))],
                    ..Changes::default()
                },
                Changes {
                    add: vec![(name.clone(), HeaderValue::from_static("x"))],
                    ..Changes::default()
                },
            ] {
                let refused = Err(Error::Reserved(name.clone()));
                let of_request = Params {
                    request: changes.clone(),
                    ..Params::default()
                };
                assert_eq!(HeadersLayer::new(of_request).map(drop), refused);
                let of_response = Params {
                    response: changes,
                    ..Params::default()
                };
                let allowed = ["host", "expect"].contains(&name.as_str());
                assert_eq!(HeadersLayer::new(of_response).is_ok(), allowed, "{name}");
            }
        }
        let twice = Changes {
            set: pairs(&[("a", "1")]),
            remove: vec![HeaderName::from_static("a")],
            ..Changes::default()
        };
        let twice = Params {
            request: twice,
            ..Params::default()
        };
        let repeated = Error::Repeated(HeaderName::from_static("a"));
        assert_eq!(HeadersLayer::new(twice).map(drop), Err(repeated));
    }
}
