//! What is sent in answer to HEAD: the fields of a response, with the length of its body in place of the body.

use http::Response;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http_body::Body as _;

use super::Body;

/// Takes the body away, as an answer to HEAD has none (RFC 9110, 9.3.2). Over HTTP/1.1 it would not be sent, but
/// over HTTP/2 it would, and clients break off such a stream.
pub fn withhold(response: &mut Response<Body>) {
    if let Some(length) = response.body().size_hint().exact() {
        let headers = response.headers_mut();
        headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_stays() {
        let mut response = Response::new(Body::full("hello"));
        withhold(&mut response);
        assert_eq!(response.headers()[CONTENT_LENGTH], "5");
        assert!(response.body().is_end_stream());
        withhold(&mut response);
        assert_eq!(response.headers()[CONTENT_LENGTH], "5");
    }
}
