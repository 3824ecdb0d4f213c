//! A request that is not HTTP, or that two parsers could read in two ways, is refused with 400 and a
//! closed connection; no byte string makes the origin see a second request.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::Body;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::promise;
use remora_tests::wire::Wire;

/// Stands where a lenient parser would find a second request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Requests that must be refused with 400: a name, and the bytes before the smuggled request.
const REFUSED: &[(&str, &str)] = &[
    (
        "space before the colon",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
    ),
    (
        "tab before the colon",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A\t: b\r\n\r\n",
    ),
    ("empty name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n"),
    (
        "NUL in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    ),
    (
        "CR in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n",
    ),
    (
        "space in the target",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("no Host", "GET / HTTP/1.1\r\nX-A: b\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    (
        "two equal Hosts",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    ),
    ("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
    ),
    (
        "list of lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 5\r\n\r\nbody",
    ),
    (
        "length with a plus",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nbody",
    ),
    (
        "negative length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nbody",
    ),
    (
        "length overflow",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551620\r\n\r\nbody",
    ),
    (
        "coding in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "another coding before chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "another coding in a field of its own",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding not last",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding unknown",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "size not a number",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    ),
    (
        "size with a sign",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\nbody\r\n0\r\n\r\n",
    ),
    (
        "size with a prefix",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\nbody\r\n0\r\n\r\n",
    ),
    (
        "size overflow",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000004\r\nbody\r\n0\r\n\r\n",
    ),
    (
        "chunk longer than its size",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbody\r\n0\r\n\r\n",
    ),
    (
        "extension with a bare LF",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;a\nb\r\nbody\r\n0\r\n\r\n",
    ),
];

/// Requests that RFC 9112 lets a proxy refuse, or pass on as something unambiguous.
const REFUSED_OR_NORMALISED: &[(&str, &str)] = &[
    ("bare LF", "GET / HTTP/1.1\nHost: a\nConnection: close\n\n"),
    (
        "folded line",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-A: b\r\n c\r\n\r\n",
    ),
    (
        "empty lines first",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ),
    (
        "length and coding",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding and length",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two equal lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    ),
];

/// What is not HTTP at all, or not a request for a proxy such as this: anything but a success.
const ANYTHING_BUT_SUCCESS: &[(&str, &[u8])] = &[
    (
        "a TLS greeting",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ),
    ("noise", b"\xff\xfe\xfd\x00\x01\r\n\r\n"),
    ("a line of text", b"hello there, how are you?\r\n\r\n"),
    (
        "another major version",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    ),
    ("HTTP/0.9", b"GET /\r\n\r\n"),
    ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    (
        "a broken HTTP/2 preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00",
    ),
];

/// Reads the whole of each request before it answers.
async fn answer(request: Request<Incoming>) -> Response<Body> {
    match request.into_body().collect().await {
        Ok(body) if body.trailers().is_some() => ok(format!("{:?}", body.trailers())),
        Ok(_) => ok("fine"),
        Err(_) => status(400),
    }
}

async fn exchange(ambassador: &Ambassador, bytes: &[u8]) -> String {
    let mut wire = Wire::connect(ambassador.address()).await;
    // The proxy may have closed before all is sent.
    let _ = wire.send(bytes).await;
    match tokio::time::timeout(Duration::from_secs(10), wire.rest()).await {
        Ok((rest, _)) => String::from_utf8_lossy(&rest).into_owned(),
        Err(_) => "the connection stays open".to_owned(),
    }
}

async fn serving() -> (Origin, Ambassador) {
    let origin = Origin::start(answer);
    let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
    (origin, ambassador)
}

/// Runs a table and collects what went wrong; `good` judges the answer to one request.
async fn run(table: &[(&str, &str)], good: impl Fn(&str) -> bool) {
    let (origin, ambassador) = serving().await;
    let mut wrong = String::new();
    for (name, bytes) in table {
        let before = origin.count();
        let answer = exchange(&ambassador, format!("{bytes}{SMUGGLED}").as_bytes()).await;
        if !good(&answer) {
            wrong += &format!("{name}: {answer:?}\n");
        }
        if origin.count() > before + 1 {
            wrong += &format!("{name}: the origin saw the smuggled request\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let errors = ambassador
        .metrics()
        .await
        .sum("remora_downstream_errors_total", &[]);
    assert!(errors > 0.0, "malformed requests are counted");
}

#[test]
fn with_400_and_a_closed_connection() {
    promise(run(REFUSED, |answer| answer.starts_with("HTTP/1.1 400 ")));
}

#[test]
fn or_passed_on_as_something_unambiguous() {
    promise(run(REFUSED_OR_NORMALISED, |answer| {
        answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 200 ")
    }));
}

#[test]
fn what_is_not_http_never_succeeds() {
    promise(async {
        let (origin, ambassador) = serving().await;
        for (name, bytes) in ANYTHING_BUT_SUCCESS {
            let answer = exchange(&ambassador, bytes).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{name}: {answer}");
            assert!(!answer.starts_with("HTTP/1.0 2"), "{name}: {answer}");
        }
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn a_header_beyond_the_limit_is_431_and_just_below_it_passes() {
    promise(async {
        let (origin, ambassador) = serving().await;
        let with = |length: usize| {
            let field = "x".repeat(length);
            format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: {field}\r\n\r\n")
        };
        let answer = exchange(&ambassador, with(100 * 1024).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert_eq!(origin.count(), 0);
        let answer = exchange(&ambassador, with(60 * 1024).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
}

#[test]
fn a_target_in_absolute_form_names_the_one_authority() {
    promise(async {
        let (origin, ambassador) = serving().await;
        let bytes =
            "GET http://one.test/x HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n";
        let answer = exchange(&ambassador, bytes.as_bytes()).await;
        if answer.starts_with("HTTP/1.1 400 ") {
            return;
        }
        let request = origin.received(1).await.remove(0);
        assert_eq!(request.headers["host"], origin.address().to_string());
        assert_eq!(request.uri, "/x");
    });
}

#[test]
fn trailers_never_become_fields_of_the_message() {
    promise(async {
        let (origin, ambassador) = serving().await;
        let bytes = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                     Trailer: x-sum\r\n\r\n0\r\nX-Sum: 1\r\nHost: evil\r\nContent-Length: 9\r\n\
                     Authorization: evil\r\nTransfer-Encoding: gzip\r\n\r\n";
        let answer = exchange(&ambassador, bytes.as_bytes()).await;
        assert!(
            !answer.contains("evil") && !answer.contains("gzip"),
            "{answer}"
        );
        for request in origin.requests() {
            assert_eq!(request.headers["host"], origin.address().to_string());
            assert!(!request.headers.contains_key("authorization"));
        }
    });
}
