//! Interim responses but 100, such as 103 (RFC 8297), which a proxy passes on (RFC 9110, section 15.2).
//!
//! They go from an HTTP/1.1 upstream to an HTTP/1.1 client. HTTP/2 has them too, but hyper neither tells its client of
//! those that come nor lets its server send any.

use http::Response;

use super::http1;
use super::hygiene::strip_hop;

/// The head of one as the client gets it: what ends at this hop stays here.
pub(super) fn interim(mut response: Response<()>) -> Vec<u8> {
    strip_hop(response.headers_mut());
    http1::interim(&response)
}

#[cfg(test)]
mod tests {
    use super::interim;
    use http::Response;

    #[test]
    fn what_belongs_to_the_hop_stays_here() {
        let response = Response::builder()
            .status(103)
            .header("link", "</a.css>; rel=preload")
            .header("connection", "x-private")
            .header("x-private", "1")
            .header("link", "</b.js>; rel=preload")
            .header("content-length", "7")
            .body(())
            .unwrap();
        let head = String::from_utf8(interim(response)).unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 103 early hints\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(head.matches("link: ").count(), 2, "{head}");
        assert_eq!(head.matches("\r\n").count(), 4, "{head}");
    }
}
