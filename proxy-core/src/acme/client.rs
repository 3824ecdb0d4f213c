//! Speaks HTTPS to an authority: names by the process's own resolver, trust by the file or the system, nothing in plain text.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use tower::Service;

use crate::body::Body;
use crate::discovery::{Resolve, Resolver};
use crate::fault::{Fault, Seen};
use crate::http::{Client as Endpoint, ClientParams};
use crate::telemetry::EntryCounters;
use crate::tls::{Connector, Reach, Unusable};

use super::params::Params;

/// How long one address may take for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The most bytes of an answer: a chain of certificates has some thousands.
const MOST_BYTES: usize = 1 << 20;

/// The statuses of an authority that has too much to do, or of us.
const TOO_MUCH: [StatusCode; 2] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// The longest that the authority may have us wait before we ask again how something goes.
const LONGEST_POLL: Duration = Duration::from_secs(24 * 60 * 60);

const AGENT: &str = concat!("remora/", env!("CARGO_PKG_VERSION"));

/// A client of one authority. Clones share what it was told.
#[derive(Debug, Clone)]
pub(super) struct Client {
    resolver: Resolver,
    connector: Arc<Connector>,
    put_off: Arc<Mutex<Option<Duration>>>,
}

type Told = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    /// Reads who is trusted.
    pub(super) fn new(params: &Params, resolver: Resolver) -> Result<Self, Unusable> {
        Ok(Self {
            resolver,
            connector: Arc::new(Connector::new(params.reached())?),
            put_off: Arc::default(),
        })
    }

    /// How long the authority has asked to be left alone since this was asked last (RFC 8555, 6.6).
    pub(super) fn put_off(&self) -> Option<Duration> {
        self.put_off.lock().take()
    }

    async fn send(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Told> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let Some(authority) = head.uri.authority().cloned() else {
            return Err(format!("`{}` is no URL", head.uri).into());
        };
        if head.uri.scheme_str() != Some("https") {
            return Err(format!("`{}` is not reached inside TLS", head.uri).into());
        }
        let is_get = head.method == Method::GET;
        let mut request = Request::from_parts(head, ());
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
        let agent = HeaderValue::from_static(AGENT);
        request.headers_mut().insert(USER_AGENT, agent);
        let mut last: Told = format!("{authority} has no address").into();
        for address in self.addresses(&authority).await? {
            let request = request.clone().map(|()| Body::full(body.clone()));
            match self.ask(address, &authority, request).await {
                Ok(response) if is_get => return checked(self.read(response).await?).await,
                Ok(response) => return self.read(response).await,
                // Only what has reached nobody goes to the next address.
                Err(fault) if fault.seen() == Seen::No => last = fault.story().into(),
                Err(fault) => return Err(fault.story().into()),
            }
        }
        Err(last)
    }

    async fn addresses(&self, authority: &Authority) -> Result<Vec<SocketAddr>, Told> {
        let port = authority.port_u16().unwrap_or(443);
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let found = self.resolver.resolve(host, &[]).await?.addresses;
        let found = found.into_iter();
        Ok(found.map(|ip| SocketAddr::new(ip, port)).collect())
    }

    async fn ask(
        &self,
        address: SocketAddr,
        authority: &Authority,
        request: Request<Body>,
    ) -> Result<Response<Body>, Fault> {
        let reach = Reach::new(&address.into(), authority.host(), Some(&self.connector));
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.unwrap_or(HeaderValue::from_static(""));
        let params = ClientParams {
            connect: CONNECT,
            ..ClientParams::default()
        };
        let counters = Arc::new(EntryCounters::default());
        Endpoint::new(reach, authority, &host, params, counters)
            .call(request)
            .await
    }

    async fn read(&self, response: Response<Body>) -> Result<BytesResponse, Told> {
        let (mut head, body) = response.into_parts();
        if let Some(told) = head.headers.remove(RETRY_AFTER)
            && let Some(pause) = pause(&told)
        {
            if TOO_MUCH.contains(&head.status) {
                *self.put_off.lock() = Some(pause);
            }
            // The library adds it to the time of day, however much it is.
            let seconds = pause.min(LONGEST_POLL).as_secs();
            head.headers.insert(RETRY_AFTER, seconds.into());
        }
        let body = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
        Ok(BytesResponse {
            parts: head,
            body: Box::new(body),
        })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(ANSWER, client.send(request)).await {
                Ok(answer) => answer.map_err(Error::Other),
                Err(_) => {
                    let late = format!("the authority did not answer within {ANSWER:?}");
                    Err(Error::Other(late.into()))
                }
            }
        })
    }
}

/// What came for a GET, which gets the directory: the library takes for granted that it names a URL for nonces.
async fn checked(mut response: BytesResponse) -> Result<BytesResponse, Told> {
    let body = response.body.into_bytes().await?;
    let directory: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let nonces = directory.get("newNonce");
    if nonces.is_some_and(|url| url.as_str().is_none_or(|url| url.parse::<Uri>().is_err())) {
        return Err("the directory names no URL for nonces".into());
    }
    response.body = Box::new(body);
    Ok(response)
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn pause(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(
        until
            .duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_date() {
        let of = |text: &'static str| pause(&HeaderValue::from_static(text));
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(of("Fri, 21 Oct 2850 07:28:00 GMT").is_some_and(|pause| !pause.is_zero()));
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
    }
}
