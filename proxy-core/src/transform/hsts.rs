//! Tells browsers to use TLS alone from now on: `Strict-Transport-Security` (RFC 6797).
//!
//! It belongs on listeners with TLS: RFC 6797 section 7.2 forbids the field elsewhere. What an upstream
//! says itself stays, because browsers read the first field only (section 8.1).

use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Request, Response};
use tower::{Layer, Service};

use super::after::{After, Change};
use crate::body::Body;
use crate::fault::Fault;

/// A year: the least that preload lists take, and the default.
const YEAR: Duration = Duration::from_secs(31_536_000);

/// What browsers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// How long they remember, in whole seconds. Zero makes them forget.
    pub max_age: Duration,
    /// Whether it holds for every host below this one.
    pub include_subdomains: bool,
    /// Whether the host agrees to stand in the lists that browsers bring along
    /// ([requirements](https://hstspreload.org/#deployment-recommendations)).
    pub preload: bool,
}

impl Default for Params {
    /// A year, for this host alone.
    fn default() -> Self {
        Self {
            max_age: YEAR,
            include_subdomains: false,
            preload: false,
        }
    }
}

/// Why this is not to be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("preload takes a max-age of a year at least, and every subdomain")]
pub struct NotForPreload;

/// Wraps services in [`Hsts`].
#[derive(Debug, Clone)]
pub struct HstsLayer {
    value: HeaderValue,
}

impl HstsLayer {
    /// Tells browsers what `params` say.
    ///
    /// # Errors
    ///
    /// When no preload list would take it, though it is to be preloaded.
    pub fn new(params: &Params) -> Result<Self, NotForPreload> {
        if params.preload && (params.max_age < YEAR || !params.include_subdomains) {
            return Err(NotForPreload);
        }
        let subdomains = if params.include_subdomains {
            "; includeSubDomains"
        } else {
            ""
        };
        let preload = if params.preload { "; preload" } else { "" };
        let text = format!("max-age={}{subdomains}{preload}", params.max_age.as_secs());
        let value = HeaderValue::from_str(&text).map_err(|_| NotForPreload)?;
        Ok(Self { value })
    }
}

impl<S> Layer<S> for HstsLayer {
    type Service = Hsts<S>;

    fn layer(&self, inner: S) -> Hsts<S> {
        let value = self.value.clone();
        Hsts { inner, value }
    }
}

/// Adds the field to every response that has none.
#[derive(Debug, Clone)]
pub struct Hsts<S> {
    inner: S,
    value: HeaderValue,
}

/// The field.
#[derive(Debug)]
pub struct Field(HeaderValue);

impl Change for Field {
    fn change(&self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        headers
            .entry(STRICT_TRANSPORT_SECURITY)
            .or_insert_with(|| self.0.clone());
    }
}

impl<S> Service<Request<Body>> for Hsts<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = After<S::Future, Field>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let field = Field(self.value.clone());
        After::new(self.inner.call(request), Some(field))
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_response_says_it_once() {
        for (days, include_subdomains, preload, own, expected) in [
            (365, false, false, None, "max-age=31536000"),
            (1, true, false, None, "max-age=86400; includeSubDomains"),
            (
                365,
                true,
                true,
                None,
                "max-age=31536000; includeSubDomains; preload",
            ),
            (0, false, false, None, "max-age=0"),
            (365, false, false, Some("max-age=1"), "max-age=1"),
        ] {
            let layer = HstsLayer::new(&Params {
                max_age: Duration::from_secs(days * 86_400),
                include_subdomains,
                preload,
            });
            let service = layer
                .unwrap()
                .layer(service_fn(move |_: Request<Body>| async move {
                    let mut response = Response::new(Body::empty());
                    if let Some(own) = own {
                        let own = HeaderValue::from_static(own);
                        response
                            .headers_mut()
                            .insert(STRICT_TRANSPORT_SECURITY, own);
                    }
                    Ok::<_, Fault>(response)
                }));
            let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
            let told: Vec<_> = response
                .headers()
                .get_all(STRICT_TRANSPORT_SECURITY)
                .iter()
                .collect();
            assert_eq!(told, [expected]);
        }
    }

    #[test]
    fn preload_has_requirements() {
        for (max_age, include_subdomains) in [(YEAR, false), (YEAR / 2, true)] {
            let preload = true;
            let params = Params {
                max_age,
                include_subdomains,
                preload,
            };
            assert_eq!(HstsLayer::new(&params).map(drop), Err(NotForPreload));
        }
    }
}
