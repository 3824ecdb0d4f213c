//! The [`Cors`] service and its layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN,
};
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::origin::{Allowed, Origin, WrongOrigin};
use crate::body::Body;
use crate::fault::Fault;
use crate::transform::after::{After, Change};
use crate::transform::vary;

/// Who may do what. By default nobody may do anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// The origins whose pages may read responses.
    pub origins: Vec<Origin>,
    /// Whether they may with cookies and the like.
    pub credentials: bool,
    /// Methods that are allowed besides GET, HEAD and POST, which always are.
    pub methods: Names<Method>,
    /// Request fields that pages may set.
    pub headers: Names<HeaderName>,
    /// Response fields that pages may read, besides the few that they always may.
    pub expose: Names<HeaderName>,
    /// How long a browser remembers the answer to a preflight, in whole seconds; its own default without.
    pub max_age: Option<Duration>,
}

/// A set of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names<T> {
    /// Every one.
    Any,
    /// These.
    These(Vec<T>),
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// Why this cannot be allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// An origin is none.
    #[error(transparent)]
    Origin(#[from] WrongOrigin),
    /// Every origin is allowed, and others besides.
    #[error("`*` allows every origin, and stands alone")]
    AnyAndOthers,
}

/// Wraps services in [`Cors`].
#[derive(Debug, Clone)]
pub struct CorsLayer {
    rules: Arc<Rules>,
}

/// What of the parameters goes into responses, ready to be sent.
#[derive(Debug)]
struct Rules {
    origins: Vec<Allowed>,
    credentials: bool,
    methods: Sent,
    headers: Sent,
    expose: Sent,
    max_age: Option<HeaderValue>,
}

#[derive(Debug)]
enum Sent {
    Any,
    Nothing,
    These(HeaderValue),
}

impl Sent {
    fn of<T>(names: &Names<T>, name: impl Fn(&T) -> &str) -> Self {
        let Names::These(names) = names else {
            return Self::Any;
        };
        let text = names.iter().map(name).collect::<Vec<_>>().join(", ");
        let value = HeaderValue::from_str(&text).ok();
        value
            .filter(|_| !names.is_empty())
            .map_or(Self::Nothing, Self::These)
    }
}

impl CorsLayer {
    /// Allows what `params` say.
    ///
    /// # Errors
    ///
    /// When an origin is none.
    pub fn new(params: &Params) -> Result<Self, Error> {
        if params.origins.len() > 1 && params.origins.contains(&Origin::Any) {
            return Err(Error::AnyAndOthers);
        }
        let origins: Result<_, WrongOrigin> = params.origins.iter().map(Allowed::compile).collect();
        let rules = Rules {
            origins: origins?,
            credentials: params.credentials,
            methods: Sent::of(&params.methods, Method::as_str),
            headers: Sent::of(&params.headers, HeaderName::as_str),
            expose: Sent::of(&params.expose, HeaderName::as_str),
            max_age: params.max_age.map(|age| HeaderValue::from(age.as_secs())),
        };
        Ok(Self {
            rules: rules.into(),
        })
    }
}

impl Rules {
    /// Whether every origin gets the same answer.
    fn is_public(&self) -> bool {
        !self.credentials && matches!(*self.origins, [Allowed::Any])
    }

    /// What the origin of a request is told of itself, if it may read the response.
    fn permission(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut lines = headers.get_all(ORIGIN).iter();
        let origin = lines.next().filter(|_| lines.next().is_none())?;
        let text = origin.to_str().ok()?;
        let opaque = text == "null" && self.credentials;
        if opaque || !self.origins.iter().any(|allowed| allowed.contains(text)) {
            return None;
        }
        Some(match self.is_public() {
            true => HeaderValue::from_static("*"),
            false => origin.clone(),
        })
    }

    /// What every response to an allowed origin has.
    fn share(&self, headers: &mut HeaderMap, permission: HeaderValue) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, permission);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        let exposed = match &self.expose {
            Sent::These(names) => names.clone(),
            Sent::Any if !self.credentials => HeaderValue::from_static("*"),
            Sent::Any | Sent::Nothing => return,
        };
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }

    /// The answer to a preflight.
    fn preflight(&self, asked: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        if let Some(permission) = self.permission(asked) {
            self.share(headers, permission);
            let method = answer(
                &self.methods,
                asked.get(ACCESS_CONTROL_REQUEST_METHOD),
                false,
            );
            headers.extend(method.map(|value| (ACCESS_CONTROL_ALLOW_METHODS, value)));
            let names = answer(
                &self.headers,
                asked.get(ACCESS_CONTROL_REQUEST_HEADERS),
                true,
            );
            headers.extend(names.map(|value| (ACCESS_CONTROL_ALLOW_HEADERS, value)));
            let age = self.max_age.clone();
            headers.extend(age.map(|age| (ACCESS_CONTROL_MAX_AGE, age)));
        }
        if !self.is_public() {
            vary::add(headers, &ORIGIN);
        }
        if matches!(self.methods, Sent::Any) {
            vary::add(headers, &ACCESS_CONTROL_REQUEST_METHOD);
        }
        if matches!(self.headers, Sent::Any) {
            vary::add(headers, &ACCESS_CONTROL_REQUEST_HEADERS);
        }
        response
    }
}

/// What is configured; where that is anything, what was asked for, which is as good with credentials and
/// without. Only tokens are repeated.
fn answer(sent: &Sent, asked: Option<&HeaderValue>, many: bool) -> Option<HeaderValue> {
    match sent {
        Sent::Nothing => None,
        Sent::These(names) => Some(names.clone()),
        Sent::Any => asked
            .filter(|value| {
                let text = value.to_str().unwrap_or_default();
                let is_token = |name: &str| HeaderName::from_bytes(name.trim().as_bytes()).is_ok();
                match many {
                    true => text.split(',').all(is_token),
                    false => is_token(text),
                }
            })
            .cloned(),
    }
}

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        let rules = Arc::clone(&self.rules);
        Cors { inner, rules }
    }
}

/// Answers preflights, and says of every other response who may read it.
#[derive(Debug, Clone)]
pub struct Cors<S> {
    inner: S,
    rules: Arc<Rules>,
}

/// What a response that comes from below is told to say.
#[derive(Debug)]
pub struct Sharing {
    rules: Arc<Rules>,
    /// Whether there was an origin, and what it may.
    origin: Option<Option<HeaderValue>>,
}

impl Change for Sharing {
    fn change(&self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        if let Some(permission) = &self.origin {
            headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
            headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
            headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
            if let Some(permission) = permission {
                self.rules.share(headers, permission.clone());
            }
        }
        if !self.rules.is_public() {
            vary::add(headers, &ORIGIN);
        }
    }
}

impl<S> Service<Request<Body>> for Cors<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Answered<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let headers = request.headers();
        let asked = headers.contains_key(ORIGIN);
        let method = headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if asked && method && *request.method() == Method::OPTIONS {
            let response = Some(self.rules.preflight(headers));
            return Answered::Here { response };
        }
        let sharing = Sharing {
            rules: Arc::clone(&self.rules),
            origin: asked.then(|| self.rules.permission(headers)),
        };
        Answered::Below {
            inner: After::new(self.inner.call(request), Some(sharing)),
        }
    }
}

pin_project! {
    /// The response of [`Cors`].
    #[project = Step]
    pub enum Answered<F> {
        /// The service below answers.
        Below {
            #[pin]
            inner: After<F, Sharing>,
        },
        /// It was a preflight.
        Here {
            response: Option<Response<Body>>,
        },
    }
}

impl<F> Future for Answered<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Step::Below { inner } => inner.poll(cx),
            Step::Here { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}
