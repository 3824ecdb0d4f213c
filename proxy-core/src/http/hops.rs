//! `Max-Forwards`: how many proxies an OPTIONS or TRACE may still pass (RFC 9110, 7.6.2).

use http::header::{ALLOW, HeaderValue, MAX_FORWARDS};
use http::{HeaderMap, Method, Request, Response, StatusCode};

use crate::body::Body;

/// The answer to a request that may go no further; for one that may, its field counts one less.
pub(super) fn answer_last(request: &mut Request<Body>) -> Option<Response<Body>> {
    let trace = *request.method() == Method::TRACE;
    if !trace && *request.method() != Method::OPTIONS {
        return None;
    }
    let left = left(request.headers())?;
    let Some(less) = left.checked_sub(1) else {
        return Some(last(trace));
    };
    request.headers_mut().insert(MAX_FORWARDS, less.into());
    None
}

/// What the field says; none where it says nothing that can be read.
fn left(headers: &HeaderMap) -> Option<u64> {
    let digits = headers.get(MAX_FORWARDS)?.to_str().ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// We have no options to tell of. A TRACE is not sent back: what a browser's page cannot see of a request could be in it.
fn last(trace: bool) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if trace {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of our own answer, or the field that goes on.
    fn told(method: Method, field: &'static str) -> Result<u16, String> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        let headers = request.headers_mut();
        headers.insert(MAX_FORWARDS, HeaderValue::from_static(field));
        match answer_last(&mut request) {
            Some(response) => Ok(response.status().as_u16()),
            None => Err(request.headers()[MAX_FORWARDS].to_str().unwrap().to_owned()),
        }
    }

    #[test]
    fn each_proxy_counts_one_and_the_last_answers() {
        for (method, field, expected) in [
            (Method::OPTIONS, "0", Ok(204)),
            (Method::TRACE, "0", Ok(405)),
            (Method::OPTIONS, "3", Err("2")),
            (Method::TRACE, "1", Err("0")),
            (
                Method::OPTIONS,
                "99999999999999999999",
                Err("18446744073709551614"),
            ),
            // Others may ignore it, and what is no number says nothing.
            (Method::GET, "0", Err("0")),
            (Method::OPTIONS, "-1", Err("-1")),
            (Method::OPTIONS, "", Err("")),
        ] {
            let told = told(method.clone(), field);
            assert_eq!(told, expected.map_err(str::to_owned), "{method} {field}");
        }
    }
}
