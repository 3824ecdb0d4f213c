//! The page itself: one document without any other asset, under a policy that lets it run nothing else.
//!
//! The policy names the hashes of the one style and the one script. A test says what they must be.

use bytes::Bytes;
use http::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http_body_util::Full;

const PAGE: &str = concat!(
    include_str!("head.html"),
    "<style>",
    include_str!("page.css"),
    "</style>\n",
    include_str!("body.html"),
    "<script>",
    include_str!("page.js"),
    "</script>\n",
);

pub(super) const POLICY: &str = concat!(
    "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; ",
    "frame-ancestors 'none'; require-trusted-types-for 'script'; ",
    "style-src 'sha256-ZaZe6MRxIefKNCAi3usahYEDEy0NKtjZcUwCC18huV8='; ",
    "script-src 'sha256-JzORWBTmGgVhzwBQLph5peXSeTca/ukpSuzEnddP0Hg='",
);

const FIELDS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// The answer to `GET /`.
pub(in crate::admin) fn page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(PAGE));
    for (name, value) in FIELDS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
