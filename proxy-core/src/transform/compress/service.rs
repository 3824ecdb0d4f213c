//! The [`Compress`] service and its layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
};
use http::{Method, Request, Response};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Coding;
use super::accept::choose;
use super::body::Compressed;
use super::coder::Coder;
use crate::body::Body;
use crate::fault::Fault;
use crate::transform::vary;

/// What is compressed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// The codings, the preferred one first. What the client prefers goes first.
    pub codings: Vec<Coding>,
    /// The least bytes of a body that is compressed, where its length is known.
    pub min_size: u64,
    /// The media types that are compressed: `text/html`, `text/*`, or `*+json` for a suffix.
    pub types: Vec<String>,
}

impl Default for Params {
    /// Text, JSON, JavaScript, XML, SVG and WebAssembly from 1 KiB on.
    fn default() -> Self {
        let types = [
            "text/*",
            "*+json",
            "*+xml",
            "application/json",
            "application/javascript",
            "application/xml",
            "application/wasm",
            "application/manifest+json",
        ];
        Self {
            codings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            min_size: 1024,
            types: types.map(str::to_owned).to_vec(),
        }
    }
}

/// Why nothing could be compressed like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no coding.
    #[error("no coding is named")]
    NoCoding,
    /// It is no media type.
    #[error("`{0}` is no media type: write `text/html`, `text/*` or `*+json`")]
    Type(String),
}

/// Wraps services in [`Compress`].
#[derive(Debug, Clone)]
pub struct CompressLayer {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    codings: Vec<Coding>,
    min_size: u64,
    types: Vec<Kind>,
}

/// Media types, in lower case.
#[derive(Debug)]
enum Kind {
    Exact(String),
    /// All that begin like this.
    Below(String),
    /// All that end like this.
    Suffix(String),
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        if let Some(suffix) = lower.strip_prefix('*') {
            let is_suffix = suffix.strip_prefix('+').is_some_and(is_token);
            return is_suffix.then(|| Self::Suffix(suffix.to_owned()));
        }
        let (kind, subtype) = lower.split_once('/').filter(|(kind, _)| is_token(kind))?;
        match subtype {
            "*" => Some(Self::Below(format!("{kind}/"))),
            _ => is_token(subtype).then(|| Self::Exact(lower.clone())),
        }
    }

    fn contains(&self, media_type: &str) -> bool {
        match self {
            Self::Exact(own) => own == media_type,
            Self::Below(begin) => media_type.starts_with(begin),
            Self::Suffix(end) => media_type.ends_with(end),
        }
    }
}

fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

impl CompressLayer {
    /// Compresses by `params`.
    ///
    /// # Errors
    ///
    /// When there is no coding, or a media type is none.
    pub fn new(params: Params) -> Result<Self, Error> {
        if params.codings.is_empty() {
            return Err(Error::NoCoding);
        }
        let kind = |text: &String| Kind::of(text).ok_or_else(|| Error::Type(text.clone()));
        let types: Result<Vec<Kind>, Error> = params.types.iter().map(kind).collect();
        let rules = Rules {
            codings: params.codings,
            min_size: params.min_size,
            types: types?,
        };
        Ok(Self {
            rules: rules.into(),
        })
    }
}

impl Rules {
    /// Whether a response to anything but HEAD may be compressed.
    fn fit(&self, response: &Response<Body>) -> bool {
        let headers = response.headers();
        let status = response.status();
        let whole = !status.is_informational() && ![204, 205, 206, 304].contains(&status.as_u16());
        whole
            && self.fits_type(headers)
            && self.fits_size(response)
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(CONTENT_RANGE)
            && !forbids(headers)
            && !["content-digest", "repr-digest", "digest", "content-md5"]
                .iter()
                .any(|name| headers.contains_key(*name))
    }

    fn fits_type(&self, headers: &HeaderMap) -> bool {
        let value = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let own = value.and_then(|value| value.split(';').next());
        let own = own.unwrap_or_default().trim().to_ascii_lowercase();
        self.types.iter().any(|kind| kind.contains(&own))
    }

    fn fits_size(&self, response: &Response<Body>) -> bool {
        let told = || {
            let length = response.headers().get(CONTENT_LENGTH)?;
            length.to_str().ok()?.parse().ok()
        };
        let size: Option<u64> = told().or_else(|| response.body().size_hint().exact());
        size.is_none_or(|size| size > 0 && size >= self.min_size)
    }
}

/// Whether a message is not to be transformed.
fn forbids(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
}

/// Compresses `response` where the codec starts, and passes it on otherwise.
fn compress(response: Response<Body>, coding: Coding) -> Response<Body> {
    let coder = match Coder::new(coding) {
        Ok(coder) => coder,
        Err(error) => {
            tracing::warn!(%error, "a response is sent uncompressed");
            return response;
        }
    };
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(ACCEPT_RANGES);
    let token = HeaderValue::from_static(coding.token());
    parts.headers.insert(CONTENT_ENCODING, token);
    let tag = parts.headers.get(ETAG);
    let strong = tag.filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    if let Some(tag) = strong {
        match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
            Ok(weak) => parts.headers.insert(ETAG, weak),
            Err(_) => parts.headers.remove(ETAG),
        };
    }
    Response::from_parts(parts, Body::streamed(Compressed::new(body, coder)))
}

impl<S> Layer<S> for CompressLayer {
    type Service = Compress<S>;

    fn layer(&self, inner: S) -> Compress<S> {
        let rules = Arc::clone(&self.rules);
        Compress { inner, rules }
    }
}

/// Compresses responses for clients that accept it.
#[derive(Debug, Clone)]
pub struct Compress<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Service<Request<Body>> for Compress<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = CompressFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let untouched = *request.method() == Method::HEAD || forbids(request.headers());
        let coding = match untouched {
            true => None,
            false => choose(request.headers(), &self.rules.codings),
        };
        CompressFuture {
            inner: self.inner.call(request),
            coding,
            rules: Arc::clone(&self.rules),
        }
    }
}

pin_project! {
    /// The response of [`Compress`].
    pub struct CompressFuture<F> {
        #[pin]
        inner: F,
        coding: Option<Coding>,
        rules: Arc<Rules>,
    }
}

impl<F> Future for CompressFuture<F>
where
    F: Future<Output = Result<Response<Body>, Fault>>,
{
    type Output = Result<Response<Body>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if !this.rules.fit(&response) {
            return Poll::Ready(Ok(response));
        }
        vary::add(response.headers_mut(), &ACCEPT_ENCODING);
        Poll::Ready(Ok(match *this.coding {
            Some(coding) => compress(response, coding),
            None => response,
        }))
    }
}
