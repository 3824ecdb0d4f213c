//! Heads, framings and codings are read in one way only, whatever pieces they come in, and written as they were meant.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Frame;
use proptest::prelude::*;

use super::buffer::Buffer;
use super::chunked::{Chunked, Malformed, Step};
use super::encode::{self, Asked};
use super::framing::Length;
use super::head::{self, Bad, RequestHead, ResponseHead, Scan};
use super::outbox::Outbox;
use crate::body::Body;

const LIMIT: usize = 8 * 1024;

fn request(text: &str) -> Result<Option<RequestHead>, Bad> {
    head::request(
        &mut Buffer::with(text.as_bytes()),
        &mut Scan::default(),
        LIMIT,
        true,
    )
}

fn response(text: &str, method: &Method) -> Result<Option<ResponseHead>, Bad> {
    let mut buffer = Buffer::with(text.as_bytes());
    head::response(&mut buffer, &mut Scan::default(), LIMIT, method)
}

fn good(text: &str) -> RequestHead {
    request(text).unwrap().unwrap()
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read_once_it_is_there() {
    let text = "\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nContent-Length: 3\r\n\r\n";
    let (mut scan, mut buffer) = (Scan::default(), Buffer::default());
    for (index, byte) in text.bytes().enumerate() {
        let mut more = buffer.bytes().to_vec();
        more.push(byte);
        buffer = Buffer::with(&more);
        let head = head::request(&mut buffer, &mut scan, LIMIT, false).unwrap();
        assert_eq!(head.is_some(), index + 1 == text.len(), "at byte {index}");
        if let Some(head) = head {
            assert_eq!(head.request.uri(), "/a?b");
            assert_eq!(head.request.headers()["x-empty"], "");
            assert_eq!(head.length, Length::Exact(3));
        }
    }
}

#[test]
fn what_is_not_http_is_refused_before_its_end() {
    assert!(matches!(
        request("\x16\x03\x01\x02\x00"),
        Err(Bad::Malformed(_))
    ));
    assert!(matches!(
        request("GET / HTTP/1.1\nHost"),
        Err(Bad::Malformed(_))
    ));
    assert!(matches!(
        request("GET / HTTP/9.9\r\n\r\n"),
        Err(Bad::Version)
    ));
    for line in [
        "GET /a b HTTP/1.1",
        "GET /a b",
        "GET / http/1.1",
        "GET / HTPP/1.1 x",
    ] {
        let head = format!("{line}\r\n\r\n");
        assert!(matches!(request(&head), Err(Bad::Malformed(_))), "{line}");
    }
    for line in [
        "INVALID CONNECTION PREFACE",
        "OPTIONS rtsp://a/ RTSP/1.0",
        "INVITE sip:a SIP/2.0",
    ] {
        let head = format!("{line}\r\n\r\n");
        assert!(matches!(request(&head), Err(Bad::Foreign)), "{line}");
    }
    assert!(matches!(
        request("GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Err(Bad::Malformed(_))
    ));
}

#[test]
fn a_target_is_one_of_the_forms_that_its_method_may_have() {
    let target = |line: &str| {
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        request(&head).map(|head| {
            head.unwrap()
                .request
                .uri()
                .path_and_query()
                .unwrap()
                .to_string()
        })
    };
    for (line, expected) in [
        ("GET /a?b", "/a?b"),
        ("GET http://a", "/"),
        ("GET http://a?b=/c", "/?b=/c"),
        ("GET http://a/b?c", "/b?c"),
        ("OPTIONS *", "*"),
    ] {
        assert_eq!(target(line).unwrap(), expected, "{line}");
    }
    for line in ["GET *", "GET /a#b", "GET http://a#b", "GET ?a", "GET a:80"] {
        assert!(matches!(target(line), Err(Bad::Malformed(_))), "{line}");
    }
}

#[test]
fn a_later_minor_version_is_read_as_the_one_that_is_known() {
    for version in ["1.2", "1.9"] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n");
        assert_eq!(good(&head).request.version(), http::Version::HTTP_11);
        let begun = format!("GET / HTTP/{version}\r\nHo");
        assert!(request(&begun).unwrap().is_none());
    }
    for version in ["2.0", "1.10", "0.9", "1.x"] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n");
        assert!(request(&head).is_err(), "{version}");
    }
}

#[test]
fn a_head_beyond_a_limit_is_too_large_and_one_below_it_is_not() {
    let with = |length| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(length)
        )
    };
    assert!(matches!(request(&with(LIMIT)), Err(Bad::TooLarge)));
    assert!(matches!(
        request(&with(LIMIT)[..LIMIT + 1]),
        Err(Bad::TooLarge)
    ));
    assert!(request(&with(LIMIT - 50)).unwrap().is_some());
    let many = |count| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert!(matches!(request(&many(101)), Err(Bad::TooMany)));
    let long = format!("GET /{}", "x".repeat(LIMIT));
    assert!(matches!(request(&long), Err(Bad::TargetTooLong)));
    assert_eq!(good(&many(100)).request.headers().len(), 100);
}

#[test]
fn the_length_of_a_request_is_clear_or_refused() {
    let length = |fields: &str| {
        let head = request(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        head.map(|head| head.unwrap().length)
    };
    assert_eq!(length(""), Ok(Length::None));
    assert_eq!(length("Content-Length: 0\r\n"), Ok(Length::None));
    assert_eq!(length("Content-Length: 007\r\n"), Ok(Length::Exact(7)));
    assert_eq!(
        length("Transfer-Encoding: Chunked\r\n"),
        Ok(Length::Chunked)
    );
    let twice = "Content-Length: 5\r\nContent-Length: 5\r\n";
    assert_eq!(length(twice), Ok(Length::Exact(5)));
    let head = good(&format!("POST / HTTP/1.1\r\n{twice}\r\n"));
    assert_eq!(
        head.request
            .headers()
            .get_all(CONTENT_LENGTH)
            .iter()
            .count(),
        1
    );
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        assert!(matches!(length(fields), Err(Bad::Malformed(_))), "{fields}");
    }
}

#[test]
fn the_length_of_a_response_depends_on_what_was_asked() {
    let length = |text: &str, method| response(text, &method).map(|head| head.unwrap().length);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(length(ok, Method::GET), Ok(Length::Exact(5)));
    assert_eq!(length(ok, Method::HEAD), Ok(Length::None));
    assert_eq!(
        length(
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            Method::GET
        ),
        Ok(Length::None)
    );
    let unknown = response("HTTP/1.1 200 OK\r\n\r\n", &Method::GET)
        .unwrap()
        .unwrap();
    assert_eq!(
        (unknown.length, unknown.keep_alive),
        (Length::UntilClose, false)
    );
    let old = response("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", &Method::GET)
        .unwrap()
        .unwrap();
    assert!(!old.keep_alive);
}

#[test]
fn the_case_of_names_is_written_as_it_came() {
    for fields in [
        "Host: a\r\nX-One: 1\r\n",
        "host: a\r\nx-one: 1\r\n",
        "HOST: a\r\nx-ONE: 1\r\n",
    ] {
        let head = good(&format!("GET /x HTTP/1.1\r\n{fields}\r\n"));
        let mut out = Outbox::default();
        encode::request(&head.request, &mut out);
        assert_eq!(text(&out), format!("GET /x HTTP/1.1\r\n{fields}\r\n"));
    }
}

#[test]
fn a_request_says_how_long_its_body_is() {
    let written = |method: &str, body: Body| {
        let request = Request::builder()
            .method(method)
            .uri("/")
            .body(body)
            .unwrap();
        let mut out = Outbox::default();
        encode::request(&request, &mut out);
        text(&out)
    };
    assert_eq!(written("GET", Body::empty()), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        written("POST", Body::empty()),
        "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
    );
    assert_eq!(
        written("GET", Body::full("abc")),
        "GET / HTTP/1.1\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn a_response_keeps_its_promise_of_a_length() {
    let asked = Asked {
        version: Version::HTTP_11,
        head: false,
        trailers: true,
        keep_alive: true,
    };
    let mut short = Response::new(Body::full("ab"));
    short.headers_mut().insert(CONTENT_LENGTH, 3.into());
    let mut out = Outbox::default();
    let (mut encoder, _) = encode::response(&short, asked, &mut out);
    assert!(encoder.frame(Frame::data("ab".into()), &mut out).is_ok());
    assert!(encoder.end(&mut out).is_err());
    assert!(encoder.frame(Frame::data("cd".into()), &mut out).is_err());
}

fn text(out: &Outbox) -> String {
    String::from_utf8(out.copied()).unwrap()
}

/// Everything that a chunked body in these pieces holds.
fn chunks(pieces: &[&[u8]]) -> Result<(Vec<u8>, HeaderMap, bool), Malformed> {
    let (mut chunked, mut data, mut trailers) = (Chunked::new(LIMIT), Vec::new(), HeaderMap::new());
    let mut left = Vec::new();
    for piece in pieces {
        left.extend_from_slice(piece);
        let mut buffer = Buffer::with(&left);
        loop {
            match chunked.step(&mut buffer)? {
                Step::Data(bytes) => data.extend_from_slice(&bytes),
                Step::Trailers(fields) => trailers = fields,
                Step::Over => return Ok((data, trailers, true)),
                Step::Starved => break,
            }
        }
        left = buffer.bytes().to_vec();
    }
    Ok((data, trailers, false))
}

#[test]
fn chunks_are_read_and_their_extensions_dropped() {
    let body = b"3;name=value\r\nabc\r\n00a \r\n0123456789\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n";
    let (data, trailers, over) = chunks(&[body]).unwrap();
    assert_eq!((&data[..], over), (&b"abc0123456789"[..], true));
    assert_eq!(trailers["x-sum"], "1");
    assert!(!trailers.contains_key(HOST));
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused() {
    for body in [
        "x\r\n",
        "+4\r\nbody\r\n",
        "0x4\r\nbody\r\n",
        "10000000000000004\r\n",
        "2\r\nbody\r\n",
        "4;a\nb\r\nbody\r\n",
        "4;a\rb\r\nbody\r\n",
        "4\nbody\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX y\r\n\r\n",
        "4\r\nbody\n0\r\n\r\n",
        "\r\n",
    ] {
        assert!(chunks(&[body.as_bytes()]).is_err(), "{body:?}");
    }
    let endless = format!("4;{}", "x".repeat(20_000));
    assert!(chunks(&[endless.as_bytes()]).is_err());
    let trailers = format!("0\r\nX: {}", "x".repeat(LIMIT));
    assert!(chunks(&[trailers.as_bytes()]).is_err());
}

proptest! {
    #[test]
    fn chunks_written_are_chunks_read_whatever_pieces_they_come_in(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 0..5),
        cuts in prop::collection::vec(1usize..4000, 0..6),
    ) {
        let response = Response::new(Body::boxed(Endless));
        let asked = Asked { version: Version::HTTP_11, head: false, trailers: false, keep_alive: true };
        let mut out = Outbox::default();
        let (mut encoder, keep_alive) = encode::response(&response, asked, &mut out);
        prop_assert!(keep_alive);
        let head = out.len();
        for part in &parts {
            encoder.frame(Frame::data(Bytes::copy_from_slice(part)), &mut out).unwrap();
        }
        encoder.end(&mut out).unwrap();
        let written = out.copied().split_off(head);
        let mut pieces = Vec::new();
        let mut rest = &written[..];
        for cut in cuts {
            let (piece, next) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = next;
        }
        pieces.push(rest);
        let (data, _, over) = chunks(&pieces).unwrap();
        prop_assert!(over);
        prop_assert_eq!(data, parts.concat());
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = head::request(&mut Buffer::with(&bytes), &mut Scan::default(), LIMIT, true);
        let _ = head::response(&mut Buffer::with(&bytes), &mut Scan::default(), LIMIT, &Method::GET);
        let _ = chunks(&[&bytes]);
    }
}

/// A body of unknown length.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = crate::fault::Fault;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}
