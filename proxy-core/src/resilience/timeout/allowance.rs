//! What a request says of the time that it may take, and what is left of that for a try.
//!
//! `grpc-timeout` (gRPC over HTTP/2, "Requests"): up to eight digits and a unit of `H M S m u n`. The
//! other field, whose name is a setting, holds whole milliseconds.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::body::Body;
use crate::telemetry::Exchange;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The most digits of `grpc-timeout`.
const DIGITS: usize = 8;

/// The shortest time that a request asks for; none where it asks for nothing that can be read.
pub fn asked(headers: &HeaderMap, field: Option<&HeaderName>) -> Option<Duration> {
    let grpc = headers.get(GRPC_TIMEOUT).and_then(from_grpc);
    let own = field.and_then(|field| headers.get(field)).and_then(millis);
    match (grpc, own) {
        (Some(grpc), Some(own)) => Some(grpc.min(own)),
        (grpc, own) => grpc.or(own),
    }
}

fn millis(value: &HeaderValue) -> Option<Duration> {
    let digits = value.to_str().ok()?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then_some(())?;
    digits.parse().ok().map(Duration::from_millis)
}

fn from_grpc(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number =
        (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(())?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn to_grpc(left: Duration) -> String {
    match left.as_micros() {
        micros @ 0..100_000_000 => format!("{micros}u"),
        micros @ 100_000_000..100_000_000_000 => format!("{}m", micros / 1000),
        micros => format!("{}S", micros / 1_000_000),
    }
}

/// Tells each try what is left of the time that its request asked for.
#[derive(Debug, Clone)]
pub struct AllowanceLayer {
    field: Option<HeaderName>,
}

impl AllowanceLayer {
    /// Writes `grpc-timeout` and `field` anew where the request has them.
    pub fn new(field: Option<HeaderName>) -> Self {
        Self { field }
    }
}

impl<S> Layer<S> for AllowanceLayer {
    type Service = Allowance<S>;

    fn layer(&self, inner: S) -> Allowance<S> {
        let field = self.field.clone();
        Allowance { inner, field }
    }
}

/// The service of [`AllowanceLayer`].
#[derive(Debug, Clone)]
pub struct Allowance<S> {
    inner: S,
    field: Option<HeaderName>,
}

impl<S> Service<Request<Body>> for Allowance<S>
where
    S: Service<Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        let exchange = request.extensions().get::<Exchange>();
        if let Some(deadline) = exchange.and_then(Exchange::asked_deadline) {
            let left = deadline.saturating_duration_since(Instant::now());
            rewrite(request.headers_mut(), self.field.as_ref(), left);
        }
        self.inner.call(request)
    }
}

fn rewrite(headers: &mut HeaderMap, field: Option<&HeaderName>, left: Duration) {
    let values = [
        (Some(&GRPC_TIMEOUT), to_grpc(left)),
        (field, left.as_millis().max(1).to_string()),
    ];
    for (name, value) in values {
        let Some(name) = name else { continue };
        if headers.contains_key(name)
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            headers.insert(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: HeaderName = HeaderName::from_static("x-request-timeout-ms");

    fn of(name: &HeaderName, value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::from_static(value));
        asked(&headers, Some(&FIELD))
    }

    #[test]
    fn both_fields_are_read_and_nonsense_is_not() {
        assert_eq!(of(&GRPC_TIMEOUT, "2S"), Some(Duration::from_secs(2)));
        assert_eq!(of(&GRPC_TIMEOUT, "150m"), Some(Duration::from_millis(150)));
        assert_eq!(
            of(&GRPC_TIMEOUT, "99999999H").map(|d| d.as_secs()),
            Some(359_999_996_400)
        );
        assert_eq!(of(&FIELD, "150"), Some(Duration::from_millis(150)));
        for bad in ["", "S", "2", "-1S", "999999999S", "1x", "1.5S"] {
            assert_eq!(of(&GRPC_TIMEOUT, bad), None, "{bad}");
        }
        for bad in ["", "1s", "-1", "1.5", "+1", "99999999999999999999"] {
            assert_eq!(of(&FIELD, bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_left_is_written_in_a_unit_that_fits() {
        assert_eq!(to_grpc(Duration::from_millis(150)), "150000u");
        assert_eq!(to_grpc(Duration::from_secs(200)), "200000m");
        assert_eq!(to_grpc(Duration::from_secs(200_000)), "200000S");
    }
}
