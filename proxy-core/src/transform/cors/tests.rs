//! What browsers get, as Gateway API's conformance suite asks for it, and the Fetch Standard.

use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, Request, Response};
use tower::{Layer, ServiceExt, service_fn};

use super::{CorsLayer, Error, Names, Origin, Params};
use crate::body::Body;
use crate::fault::Fault;

/// The response to a request with these fields, as lines in order; `x-below` where the service below was
/// asked.
async fn answer(params: &Params, method: Method, asked: &[(&'static str, &str)]) -> Vec<String> {
    let below = service_fn(|_: Request<Body>| async {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        // What an upstream says of sharing does not count.
        headers.insert(
            "access-control-allow-origin",
            HeaderValue::from_static("https://own.com"),
        );
        headers.insert(
            "access-control-allow-credentials",
            HeaderValue::from_static("true"),
        );
        headers.insert("x-below", HeaderValue::from_static("1"));
        Ok::<_, Fault>(response)
    });
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    for (name, value) in asked {
        request
            .headers_mut()
            .append(*name, HeaderValue::from_str(value).unwrap());
    }
    let service = CorsLayer::new(params).unwrap().layer(below);
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let line = |(name, value): (&http::HeaderName, &HeaderValue)| {
        let short = name.as_str().replace("access-control-", "");
        format!("{short}: {}", value.to_str().unwrap())
    };
    let mut lines: Vec<String> = response.headers().iter().map(line).collect();
    lines.sort();
    lines
}

fn some() -> Params {
    Params {
        origins: vec![
            Origin::Host("https://www.foo.com".to_owned()),
            Origin::Host("https://*.bar.com".to_owned()),
        ],
        credentials: true,
        methods: Names::These(vec![Method::GET, Method::OPTIONS]),
        headers: Names::These(vec!["x-1".parse().unwrap(), "x-2".parse().unwrap()]),
        expose: Names::These(vec!["x-3".parse().unwrap(), "x-4".parse().unwrap()]),
        max_age: Some(Duration::from_secs(3600)),
    }
}

fn any(credentials: bool) -> Params {
    Params {
        origins: vec![Origin::Any],
        credentials,
        methods: Names::Any,
        headers: Names::Any,
        expose: Names::Any,
        max_age: None,
    }
}

const METHOD: &str = "access-control-request-method";
const HEADERS: &str = "access-control-request-headers";

#[tokio::test]
async fn preflights_are_answered_here() {
    for origin in [
        "https://www.foo.com",
        "https://www.bar.com",
        "https://xpto.www.bar.com",
    ] {
        let asked = [("origin", origin), (METHOD, "GET"), (HEADERS, "x-1, x-2")];
        let expected = [
            "allow-credentials: true",
            "allow-headers: x-1, x-2",
            "allow-methods: GET, OPTIONS",
            &format!("allow-origin: {origin}"),
            "expose-headers: x-3, x-4",
            "max-age: 3600",
            "vary: origin",
        ];
        assert_eq!(answer(&some(), Method::OPTIONS, &asked).await, expected);
    }
    let asked = [("origin", "https://foobar.com"), (METHOD, "GET")];
    assert_eq!(
        answer(&some(), Method::OPTIONS, &asked).await,
        ["vary: origin"]
    );
}

#[tokio::test]
async fn wildcards_repeat_what_was_asked_for() {
    let vary = [
        "vary: access-control-request-headers",
        "vary: access-control-request-method",
    ];
    let asked = [
        ("origin", "https://a.com:12345"),
        (METHOD, "PUT"),
        (HEADERS, "x-1,authorization"),
    ];
    let (names, method) = ("allow-headers: x-1,authorization", "allow-methods: PUT");
    let public = [
        names,
        method,
        "allow-origin: *",
        "expose-headers: *",
        vary[0],
        vary[1],
    ];
    assert_eq!(answer(&any(false), Method::OPTIONS, &asked).await, public);
    let origin = "allow-origin: https://a.com:12345";
    let private = [
        "allow-credentials: true",
        names,
        method,
        origin,
        vary[0],
        vary[1],
        "vary: origin",
    ];
    assert_eq!(answer(&any(true), Method::OPTIONS, &asked).await, private);

    let asked = [
        ("origin", "https://a.com"),
        (METHOD, "P UT"),
        (HEADERS, "x-1,,y"),
    ];
    let expected = ["allow-origin: *", "expose-headers: *", vary[0], vary[1]];
    assert_eq!(answer(&any(false), Method::OPTIONS, &asked).await, expected);
}

#[tokio::test]
async fn other_requests_go_on_and_get_one_permission() {
    let expected = [
        "allow-credentials: true",
        "allow-origin: https://www.foo.com",
        "expose-headers: x-3, x-4",
        "vary: origin",
        "x-below: 1",
    ];
    let origin = ("origin", "https://www.foo.com");
    // OPTIONS without a method that it asks about is no preflight, and the method alone does not make one.
    for (method, asked) in [
        (Method::GET, &[origin][..]),
        (Method::GET, &[origin, (METHOD, "GET"), (HEADERS, "x-1")]),
        (Method::OPTIONS, &[origin]),
    ] {
        assert_eq!(answer(&some(), method, asked).await, expected);
    }
    let public = ["allow-origin: *", "expose-headers: *", "x-below: 1"];
    assert_eq!(answer(&any(false), Method::PUT, &[origin]).await, public);
}

#[tokio::test]
async fn other_origins_get_none() {
    let none = ["vary: origin", "x-below: 1"];
    for asked in [
        &[("origin", "https://foobar.com")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[
            ("origin", "https://www.foo.com"),
            ("origin", "https://www.foo.com"),
        ],
    ] {
        assert_eq!(answer(&some(), Method::GET, asked).await, none, "{asked:?}");
    }
    assert_eq!(
        answer(&any(true), Method::GET, &[("origin", "null")]).await,
        none
    );
}

#[tokio::test]
async fn without_an_origin_a_response_keeps_what_it_says() {
    let own = [
        "allow-credentials: true",
        "allow-origin: https://own.com",
        "vary: origin",
        "x-below: 1",
    ];
    assert_eq!(answer(&some(), Method::GET, &[]).await, own);
    assert_eq!(
        answer(&some(), Method::OPTIONS, &[(METHOD, "GET")]).await,
        own
    );
}

#[test]
fn any_origin_stands_alone() {
    let mut params = some();
    params.origins.push(Origin::Any);
    assert_eq!(CorsLayer::new(&params).map(drop), Err(Error::AnyAndOthers));
    params.origins = vec![Origin::Host("foo.com".to_owned())];
    assert!(matches!(CorsLayer::new(&params), Err(Error::Origin(_))));
}
