//! Which fields must not come in trailers: those that would change what the message means or who sent it, had they come too late.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, HOST, HeaderName, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::forwarded::{is_claim, is_client_cert, is_read_as};

/// Whether it is one of them (RFC 9110, 6.5.1). What says who called is set in the header section, and a workload
/// that joins both sections must not find anything else.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    is_read_as(name, |name| is_claim(name) || is_client_cert(name))
        || [
            &AUTHORIZATION,
            &CONNECTION,
            &CONTENT_ENCODING,
            &CONTENT_LENGTH,
            &CONTENT_RANGE,
            &CONTENT_TYPE,
            &COOKIE,
            &HOST,
            &SET_COOKIE,
            &TE,
            &TRAILER,
            &TRANSFER_ENCODING,
            &UPGRADE,
        ]
        .contains(&name)
}
