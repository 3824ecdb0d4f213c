//! Fields that belong to one hop stay on it, all others pass as they are, and the proxy adds only
//! `traceparent`.

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{AUTHORITY, Body, Connection, Protocol, get, once};
use remora_tests::origin::{Origin, Recorded, ok};
use remora_tests::promise::promise;
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;

const HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "x-named",
    "proxy-authenticate",
];

fn with(fields: &[(&'static str, &'static str)]) -> Request<Body> {
    let mut request = get("/");
    for (name, value) in fields {
        let name = HeaderName::from_static(name);
        request
            .headers_mut()
            .append(name, HeaderValue::from_static(value));
    }
    request
}

/// What reaches the origin of a request with these fields.
async fn reaches(
    protocol: Protocol,
    scheme: &str,
    fields: &[(&'static str, &'static str)],
) -> HeaderMap {
    let origin = Origin::start(|_| async { ok("fine") });
    let ambassador = Ambassador::serving(&format!("to: {scheme}://{}", origin.address())).await;
    let mut connection = Connection::open(ambassador.address(), protocol)
        .await
        .expect("open");
    let reply = connection.fetch(with(fields)).await.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    origin.received(1).await.remove(0).headers
}

/// The authority that a request reached the origin with, in either protocol's place.
fn authority(request: &Recorded) -> Option<&str> {
    let host = request.headers.get("host");
    host.and_then(|host| host.to_str().ok())
        .or(request.uri.authority().map(http::uri::Authority::as_str))
}

#[test]
fn hop_by_hop_fields_of_a_request_stay_behind() {
    promise(async {
        let fields = [
            ("connection", "keep-alive, X-Named"),
            ("x-named", "for this hop"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("x-kept", "one"),
            ("x-kept", "two"),
        ];
        for scheme in ["http", "h2c"] {
            let headers = reaches(Protocol::Http1, scheme, &fields).await;
            for name in HOP {
                assert!(
                    !headers.contains_key(name),
                    "{name} reached {scheme}: {headers:?}"
                );
            }
            let kept: Vec<_> = headers.get_all("x-kept").iter().collect();
            assert_eq!(kept, ["one", "two"]);
        }
    });
}

#[test]
fn te_says_trailers_or_nothing() {
    promise(async {
        for scheme in ["http", "h2c"] {
            let headers = reaches(Protocol::Http1, scheme, &[("te", "gzip, deflate;q=0.5")]).await;
            assert_eq!(headers.get("te"), None);
            let fields = [("te", "trailers, deflate;q=0.5")];
            let headers = reaches(Protocol::Http1, scheme, &fields).await;
            assert!(
                headers.get("te").is_none_or(|te| te == "trailers"),
                "{headers:?}"
            );
            let headers = reaches(Protocol::Http2, scheme, &[("te", "trailers")]).await;
            assert_eq!(headers.get("te").expect("TE"), "trailers");
        }
    });
}

#[test]
fn nothing_is_added_but_traceparent() {
    promise(async {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for scheme in ["http", "h2c"] {
                let headers = reaches(protocol, scheme, &[("x-mine", "1")]).await;
                let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
                names.retain(|name| *name != "host");
                names.sort_unstable();
                assert_eq!(names, ["traceparent", "x-mine"], "{protocol:?} to {scheme}");
            }
        }
    });
}

#[test]
fn forwarding_fields_of_the_workload_pass_untouched() {
    promise(async {
        let fields = [
            ("x-forwarded-for", "192.0.2.1"),
            ("via", "1.1 before"),
            ("forwarded", "for=192.0.2.1"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("tracestate", "vendor=1"),
        ];
        for scheme in ["http", "h2c"] {
            let headers = reaches(Protocol::Http1, scheme, &fields).await;
            for (name, value) in fields {
                let values: Vec<_> = headers.get_all(name).iter().collect();
                assert_eq!(values, [value], "{name}");
            }
        }
    });
}

#[test]
fn the_authority_is_the_one_that_the_entry_goes_to() {
    promise(async {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let origin = Origin::start(|_| async { ok("fine") });
            for scheme in ["http", "h2c"] {
                let settings = format!("to: {scheme}://{}", origin.address());
                let ambassador = Ambassador::serving(&settings).await;
                let mut connection = Connection::open(ambassador.address(), protocol)
                    .await
                    .expect("open");
                connection.fetch(get("/")).await.expect("an answer");
            }
            for request in origin.received(2).await {
                let address = origin.address().to_string();
                assert_eq!(authority(&request), Some(address.as_str()), "{request:?}");
            }
        }
    });
}

#[test]
fn the_authority_is_the_workloads_own_where_the_entry_keeps_it() {
    promise(async {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let origin = Origin::start(|_| async { ok("fine") });
            for scheme in ["http", "h2c"] {
                let settings = format!("to: {scheme}://{}\nhost: keep", origin.address());
                let ambassador = Ambassador::serving(&settings).await;
                let mut connection = Connection::open(ambassador.address(), protocol)
                    .await
                    .expect("open");
                connection.fetch(get("/")).await.expect("an answer");
            }
            for request in origin.received(2).await {
                assert_eq!(authority(&request), Some(AUTHORITY), "{request:?}");
            }
        }
    });
}

#[test]
fn the_case_of_names_is_kept_between_http1_and_http1() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let head = wire.head().await.unwrap_or_default();
            let seen = if head.contains("\r\nX-CuStOm-CaSe: v\r\n") {
                "seen"
            } else {
                "lost"
            };
            let answer = format!("HTTP/1.1 200 OK\r\nX-SeEn: {seen}\r\nContent-Length: 0\r\n\r\n");
            let _ = wire.send(answer).await;
            wire.rest().await;
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nX-CuStOm-CaSe: v\r\n\r\n")
            .await
            .expect("sent");
        let head = wire.head().await.expect("a head");
        assert!(
            head.to_lowercase().contains("\r\nx-seen: seen\r\n"),
            "{head}"
        );
    });
}

#[test]
fn hop_by_hop_fields_of_an_answer_stay_behind() {
    promise(async {
        let answer = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Named\r\nX-Named: mine\r\n\
                      Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Kept: yes\r\n\
                      Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
        let origin = Scripted::answering(answer);
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let reply = connection.fetch(get("/")).await.expect("an answer");
            for name in ["x-named", "keep-alive", "proxy-connection"] {
                assert_eq!(reply.headers.get(name), None, "{name}");
            }
            assert_eq!(reply.header("x-kept"), "yes");
            let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
            assert_eq!(cookies, ["a=1", "b=2"]);
        }
    });
}

#[test]
fn a_204_has_no_length() {
    promise(async {
        let answer = "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nX-Kept: 1\r\n\r\n";
        let origin = Scripted::answering(answer);
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let reply = connection.fetch(get("/")).await.expect("an answer");
            assert_eq!((reply.status.as_u16(), reply.header("x-kept")), (204, "1"));
            assert_eq!(reply.header("content-length"), "", "{protocol:?}");
        }
    });
}

#[test]
fn a_request_has_a_hundred_fields_at_the_most() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for (count, expected) in [(90, 200), (110, 431)] {
                let mut request = get("/");
                for number in 0..count {
                    let name = HeaderName::try_from(format!("x-{number}")).expect("a name");
                    let value = HeaderValue::from_static("1");
                    request.headers_mut().insert(name, value);
                }
                let mut connection = Connection::open(ambassador.address(), protocol)
                    .await
                    .expect("open");
                let reply = connection.fetch(request).await.expect("an answer");
                assert_eq!(reply.status, expected, "{protocol:?}");
                if expected == 431 {
                    assert_eq!(reply.proxy_error(), "http_request_error");
                }
            }
        }
    });
}

#[test]
fn cookies_are_one_field_however_they_come() {
    promise(async {
        let headers = reaches(Protocol::Http2, "http", &[("cookie", "a=b"); 150]).await;
        assert_eq!(headers.get_all("cookie").iter().count(), 1);
    });
}

#[test]
fn a_request_goes_no_further_than_it_may() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let ask = async |left: &'static str| {
            let mut request = with(&[("max-forwards", left)]);
            *request.method_mut() = http::Method::OPTIONS;
            let reply = once(ambassador.address(), request).await;
            reply.expect("an answer").status
        };
        assert_eq!(ask("0").await, 204);
        assert_eq!(origin.count(), 0);
        assert_eq!(ask("2").await, 200);
        let headers = origin.received(1).await.remove(0).headers;
        assert_eq!(headers["max-forwards"], "1");
    });
}
