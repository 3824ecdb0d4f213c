//! An ingress leads each request to the most specific route that it fits, changes what the route says, and tells
//! who fits none.

use http::header::{HOST, HeaderValue};
use http::{HeaderName, Request};
use remora_tests::client::{Body, Connection, Protocol, Reply, get, once, request};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::promise;
use remora_tests::proxy::{INGRESS, Proxy, run_in};
use remora_tests::wire::Wire;

/// A request with a host and further fields.
fn to(host: &str, mut request: Request<Body>, fields: &[(&str, &str)]) -> Request<Body> {
    let host = HeaderValue::from_str(host).expect("a host");
    request.headers_mut().insert(HOST, host);
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let value = HeaderValue::from_str(value).expect("a value");
        request.headers_mut().append(name, value);
    }
    request
}

async fn ask(ingress: &Proxy, host: &str, path: &str) -> Reply {
    let reply = once(ingress.address(), to(host, get(path), &[])).await;
    reply.expect("an answer")
}

/// Routes of which each answers with its name.
fn routes() -> Vec<String> {
    let routes = [
        ("shop.test", "shop"),
        ("shop.test/cart", "cart"),
        ("shop.test=/cart/total", "total"),
        ("POST shop.test/cart", "post-cart"),
        ("shop.test~/cart/[0-9]+", "numbered"),
        ("*.shop.test", "below-shop"),
        ("*.test/any", "any-test"),
        ("*/any", "any"),
        ("GET,POST,PUT api.test", "some"),
        ("POST api.test", "post"),
        ("DELETE,POST api.test", "delete"),
    ];
    let mut all: Vec<String> = routes
        .iter()
        .map(|(key, name)| format!("'{key}#{name}': {{respond: {{status: 200, body: {name}}}}}"))
        .collect();
    for (label, when) in [
        ("by-field", "headers: {x-beta: 1}"),
        ("by-field-too", "headers: {x-beta: 1, x-gamma: '~[a-c]+'}"),
        ("by-query", "query: {beta: 'yes'}"),
    ] {
        all.push(format!(
            "'shop.test/cart#{label}': {{when: {{{when}}}, respond: {{status: 200, body: {label}}}}}"
        ));
    }
    all
}

/// Host, path, fields, and the route that is taken.
type Taken = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const TAKEN: &[Taken] = &[
    ("shop.test", "/", &[], "shop"),
    ("SHOP.test:8080", "/cartoon", &[], "shop"),
    ("shop.test", "/cart", &[], "cart"),
    ("shop.test", "/cart/", &[], "cart"),
    ("shop.test", "/cart/a", &[], "cart"),
    ("shop.test", "/%63art/a", &[], "cart"),
    ("shop.test", "/cart/total", &[], "total"),
    ("shop.test", "/cart/total/", &[], "cart"),
    ("shop.test", "/cart/17", &[], "numbered"),
    ("shop.test", "/cart/17x", &[], "cart"),
    ("shop.test", "/cart", &[("x-beta", "1")], "by-field"),
    ("shop.test", "/cart", &[("x-beta", "2")], "cart"),
    (
        "shop.test",
        "/cart",
        &[("x-beta", "1"), ("x-gamma", "abc")],
        "by-field-too",
    ),
    ("shop.test", "/cart?beta=yes", &[], "by-query"),
    (
        "shop.test",
        "/cart?beta=yes",
        &[("x-beta", "1")],
        "by-field",
    ),
    ("a.shop.test", "/", &[], "below-shop"),
    ("a.b.shop.test", "/any", &[], "below-shop"),
    ("other.test", "/any", &[], "any-test"),
    ("elsewhere", "/any/thing", &[], "any"),
];

#[test]
fn the_most_specific_route_is_taken() {
    promise(async {
        let all = routes();
        let config = Config::of_ingress(&format!("routes: {{{}}}", all.join(", ")));
        let ingress = Proxy::start(&config).await;
        for (host, path, fields, wanted) in TAKEN {
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let mut connection = Connection::open(ingress.address(), protocol)
                    .await
                    .expect("open");
                let mut request = to(host, get(path), fields);
                if protocol == Protocol::Http2 {
                    *request.uri_mut() = format!("http://{host}{path}").parse().expect("a URL");
                    request.headers_mut().remove(HOST);
                }
                let reply = connection.fetch(request).await.expect("an answer");
                assert_eq!(
                    reply.text(),
                    *wanted,
                    "{host}{path} {fields:?} {protocol:?}"
                );
            }
        }
        let mut post = request("POST", "/cart/total");
        post = to("shop.test", post, &[]);
        let reply = once(ingress.address(), post).await.expect("an answer");
        assert_eq!(reply.text(), "total", "an exact path goes before a method");
        let post = to("shop.test", request("POST", "/cart/a"), &[]);
        let reply = once(ingress.address(), post).await.expect("an answer");
        assert_eq!(reply.text(), "post-cart");
        // Of routes that ask for the same, the one for fewer methods goes first.
        for (method, wanted) in [
            ("GET", "some"),
            ("PUT", "some"),
            ("POST", "post"),
            ("DELETE", "delete"),
        ] {
            let request = to("api.test", request(method, "/"), &[]);
            let reply = once(ingress.address(), request).await.expect("an answer");
            assert_eq!(reply.text(), wanted, "{method}");
        }
        let line = ingress.logged("/cart/17").await;
        assert_eq!(line["route"], "numbered");
        assert_eq!(line["entry"], "edge");
    });
}

#[test]
fn what_fits_no_route_is_told_so() {
    promise(async {
        let config = Config::of_ingress("routes: {shop.test/cart: {respond: {status: 204}}}");
        let mut ingress = Proxy::start(&config.with("access-log: errors")).await;
        for (host, path) in [("shop.test", "/"), ("other.test", "/cart"), ("", "/cart")] {
            let reply = ask(&ingress, host, path).await;
            assert_eq!(
                (reply.status.as_u16(), reply.proxy_error()),
                (404, "destination_not_found")
            );
        }
        // A path that could be read in two ways is nobody's.
        for path in ["/cart/../x", "/cart/%2e%2E/x", "/cart%00", "/c\\art"] {
            let mut wire = Wire::connect(ingress.address()).await;
            let text = format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n");
            wire.send(text).await.expect("sent");
            let head = wire.head().await.expect("an answer");
            assert!(head.starts_with("HTTP/1.1 400"), "{path}: {head}");
        }
        let labels = [("entry", "edge"), ("reason", "destination_not_found")];
        let metrics = ingress.metrics().await;
        assert_eq!(metrics.sum("remora_faults_total", &labels), 3.0);
        let labels = [("entry", "edge"), ("code", "404")];
        assert_eq!(metrics.sum("remora_requests_total", &labels), 3.0);
        ingress.signal(rustix::process::Signal::TERM);
        ingress.exit().await;
        let logged = ingress.access.to_end().await;
        let logged: Vec<_> = logged.iter().map(|line| &line["reason"]).collect();
        assert_eq!(logged, ["http_request_error"; 4]);
    });
}

/// Tells the path that it was asked for, in a response with two fields of its own.
fn telling() -> Origin {
    Origin::start(|request| async move {
        let path = request.uri().path_and_query().map(ToString::to_string);
        let mut response = ok(path.unwrap_or_default());
        let secret = HeaderValue::from_static("of the upstream");
        response.headers_mut().insert("x-secret", secret.clone());
        response.headers_mut().insert("x-kept", secret);
        response
    })
}

#[test]
fn an_upstream_gets_what_the_route_makes_of_a_request() {
    promise(async {
        let origin = telling();
        let to_origin = format!("http://{}", origin.address());
        let config = Config::of_ingress(&format!(
            "routes: {{shop.test/api#api: {{to: '{to_origin}', rewrite: {{prefix: /v2}}, \
             headers: {{request: {{set: {{x-team: cart}}, add: {{x-seen: edge}}, remove: [x-gone]}}, \
             response: {{set: {{x-frame-options: DENY}}, remove: [x-secret]}}}}}}, \
             shop.test/plain#plain: '{to_origin}', \
             shop.test/off#off: {{to: '{to_origin}', rewrite: {{path: /whole, host: inner.test}}}}}}"
        ));
        let ingress = Proxy::start(&config).await;
        // A field of the hop is the client's to take away, and one that the route sets is not.
        let fields = [
            ("connection", "x-team, x-seen"),
            ("x-gone", "1"),
            ("x-team", "client"),
            ("x-seen", "client"),
        ];
        let asked = to("shop.test", get("/api/users?q=1"), &fields);
        let reply = once(ingress.address(), asked).await.expect("an answer");
        assert_eq!(reply.text(), "/v2/users?q=1");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("x-kept"), "of the upstream");
        assert!(!reply.headers.contains_key("x-secret"));
        let reply = ask(&ingress, "shop.test", "/plain/a").await;
        assert_eq!(reply.text(), "/plain/a");
        assert!(reply.headers.contains_key("x-secret"));
        let reply = ask(&ingress, "shop.test", "/off/a?q=1").await;
        assert_eq!(reply.text(), "/whole?q=1");
        let received = origin.received(3).await;
        let values = |index: usize, name: &str| -> Vec<&str> {
            let values = received[index].headers.get_all(name).iter();
            values.map(|value| value.to_str().expect("text")).collect()
        };
        assert_eq!(values(0, "x-team"), ["cart"]);
        assert_eq!(values(0, "x-seen"), ["edge"]);
        assert_eq!(values(0, "x-gone"), Vec::<&str>::new());
        assert_eq!(
            values(0, "host"),
            ["shop.test"],
            "the client's own authority"
        );
        assert_eq!(values(0, "x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(values(2, "host"), ["inner.test"]);
        assert_eq!(values(2, "x-forwarded-host"), ["shop.test"]);
        // All three routes lead to one entry, which has found, pools and counts by itself.
        let upstream = format!("edge/{}", origin.address());
        let labels = [("entry", upstream.as_str()), ("code", "200")];
        let metrics = ingress.metrics().await;
        assert_eq!(metrics.sum("remora_requests_total", &labels), 3.0);
        let line = ingress.logged("/plain/a").await;
        assert_eq!(
            (&line["route"], &line["entry"]),
            (&"plain".into(), &upstream.into())
        );
    });
}

#[test]
fn redirects_and_answers_need_no_upstream() {
    promise(async {
        let directory = tempfile::tempdir().expect("a folder");
        let robots = directory.path().join("robots.txt");
        std::fs::write(&robots, "User-agent: *\n").expect("a file");
        let config = Config::of_ingress(&format!(
            "routes: {{'*': {{redirect: {{scheme: https, status: 308}}}}, \
             '*/old': {{redirect: {{prefix: /new}}}}, \
             '*=/host': {{redirect: {{host: www.test, port: 8443, path: /, status: 301}}}}, \
             '*=/robots.txt': {{respond: {{status: 200, file: {}}}}}, \
             'DELETE *': {{respond: {{status: 405, body: no, content-type: application/json}}}}}}",
            robots.display()
        ));
        let ingress = Proxy::start(&config).await;
        let port = ingress.address().port();
        for (path, wanted, location) in [
            ("/a?b=c", 308, "https://shop.test/a?b=c".to_owned()),
            ("/old/x?y", 302, format!("http://shop.test:{port}/new/x?y")),
            ("/host", 301, "http://www.test:8443/".to_owned()),
        ] {
            let host = format!("shop.test:{port}");
            let reply = ask(&ingress, &host, path).await;
            assert_eq!(
                (reply.status.as_u16(), reply.header("location")),
                (wanted, &*location)
            );
        }
        let reply = ask(&ingress, "a", "/robots.txt").await;
        assert_eq!(reply.text(), "User-agent: *\n");
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        let reply = once(ingress.address(), to("a", request("DELETE", "/x"), &[])).await;
        let reply = reply.expect("an answer");
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (405, "no"));
        assert_eq!(reply.header("content-type"), "application/json");
    });
}

#[test]
fn who_came_by_tls_elsewhere_is_not_redirected_away_from_it() {
    promise(async {
        for (trust, wanted) in [
            ("[127.0.0.0/8]", "https://shop.test/new/x"),
            ("[10.0.0.0/8]", "http://shop.test/new/x"),
        ] {
            let config = Config::of_ingress(&format!(
                "forwarded: {{trust: {trust}}}\nroutes: {{'*/old': {{redirect: {{prefix: /new}}}}}}"
            ));
            let ingress = Proxy::start(&config).await;
            let request = to(
                "shop.test",
                get("/old/x"),
                &[("x-forwarded-proto", "https")],
            );
            let reply = once(ingress.address(), request).await.expect("an answer");
            assert_eq!(reply.header("location"), wanted);
        }
    });
}

#[test]
fn pages_stand_in_for_our_own_failures_alone() {
    promise(async {
        let directory = tempfile::tempdir().expect("a folder");
        let page = |name: &str| {
            let path = directory.path().join(format!("{name}.html"));
            std::fs::write(&path, format!("<h1>{name}</h1>")).expect("a file");
            path.display().to_string()
        };
        let origin = Origin::start(|_| async { status(404) });
        let (refusing, _held) = remora_tests::scripted::refusing();
        let config = Config::of_ingress(&format!(
            "errors: {{'404': {}, '502-504': {}}}\nroutes: {{a.test: 'http://{}', b.test: 'http://{refusing}'}}",
            page("missing"),
            page("sorry"),
            origin.address()
        ));
        let ingress = Proxy::start(&config).await;
        let reply = ask(&ingress, "c.test", "/").await;
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (404, "<h1>missing</h1>")
        );
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(reply.proxy_error(), "destination_not_found");
        let reply = ask(&ingress, "b.test", "/").await;
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (502, "<h1>sorry</h1>")
        );
        let reply = ask(&ingress, "a.test", "/").await;
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (404, "404\n")
        );
        let head = to("c.test", request("HEAD", "/"), &[]);
        let reply = once(ingress.address(), head).await.expect("an answer");
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (404, ""));
    });
}

#[test]
fn pages_of_other_origins_may_call_where_the_route_says_so() {
    promise(async {
        let origin = Origin::start(|_| async { ok("data") });
        let config = Config::of_ingress(&format!(
            "routes: {{api.test: {{to: 'http://{}', cors: {{origins: ['https://*.app.test'], \
             methods: [PUT], headers: [x-token], credentials: true, max-age: 10m}}}}}}",
            origin.address()
        ));
        let ingress = Proxy::start(&config).await;
        let preflight = to(
            "api.test",
            request("OPTIONS", "/items"),
            &[
                ("origin", "https://a.app.test"),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", "x-token"),
            ],
        );
        let reply = once(ingress.address(), preflight).await.expect("an answer");
        assert!(
            [200, 204].contains(&reply.status.as_u16()),
            "{}",
            reply.status
        );
        let allowed = reply.header("access-control-allow-origin");
        assert_eq!(allowed, "https://a.app.test");
        assert_eq!(reply.header("access-control-max-age"), "600");
        assert_eq!(origin.count(), 0, "a preflight is answered here");
        for (origin, allowed) in [("https://a.app.test", true), ("https://evil.test", false)] {
            let asked = to("api.test", get("/items"), &[("origin", origin)]);
            let reply = once(ingress.address(), asked).await.expect("an answer");
            let is_there = reply.headers.contains_key("access-control-allow-origin");
            assert_eq!((reply.text().as_str(), is_there), ("data", allowed));
        }
    });
}

#[test]
fn responses_are_compressed_for_who_takes_it() {
    promise(async {
        let origin = Origin::start(|_| async {
            let mut response = ok("compress me ".repeat(1000));
            let kind = HeaderValue::from_static("text/plain");
            response.headers_mut().insert("content-type", kind);
            response
        });
        let config = Config::of_ingress(&format!(
            "compress: {{}}\nroutes: {{'*': 'http://{}'}}",
            origin.address()
        ));
        let ingress = Proxy::start(&config).await;
        for (accepts, coding) in [
            ("gzip", "gzip"),
            ("br", "br"),
            ("zstd, gzip", "zstd"),
            ("", ""),
        ] {
            let asked = to("a.test", get("/"), &[("accept-encoding", accepts)]);
            let reply = once(ingress.address(), asked).await.expect("an answer");
            let told = reply.headers.get("content-encoding");
            let told = told.map_or("", |told| told.to_str().expect("text"));
            assert_eq!(told, coding);
            assert_eq!(reply.text().len() == 12_000, coding.is_empty());
        }
    });
}

/// What `check` says of a gateway with these routes.
async fn told_of(routes: &[&str]) -> String {
    let directory = tempfile::tempdir().expect("a folder");
    let routes: String = routes
        .iter()
        .map(|route| format!("      {route}\n"))
        .collect();
    let text = format!("ingress:\n  edge:\n    listen: 127.0.0.1:0\n    routes:\n{routes}");
    std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
    let arguments = ["check", "-c", "remora.yaml"];
    let output = run_in(INGRESS, directory.path(), &arguments).await;
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Mistakes of the same kind are told at once: those of keys, then those of routes, then what cannot be compiled.
#[test]
fn mistakes_in_routes_are_told_at_their_place() {
    promise(async {
        for (routes, wanted) in [
            (
                &["'get a.test': http://a", "'a.test#X': http://a"][..],
                &[
                    "remora.yaml:5:",
                    "`get` is not a method",
                    "`X` is not a label",
                ][..],
            ),
            (
                &[
                    "d.test: {rewrite: {prefix: /}}",
                    "e.test=/x: {to: 'http://a', rewrite: {prefix: /}}",
                    "f.test: {to: 'http://a', redirect: {scheme: https}}",
                    "g.test: {to: 'tcp://a:1'}",
                    "i.test: {respond: {status: 200}, timeout: {request: 1s}}",
                    "j.test#j: {to: 'http://a'}",
                    "k.test#j: {to: 'http://a'}",
                ],
                &[
                    "nothing becomes of the requests",
                    "has no prefix that could be replaced",
                    "more than one thing becomes of the requests",
                    "`tcp` carries bytes",
                    "`timeout` is about an upstream",
                    "called `j` already",
                    "remora.yaml:11:",
                ],
            ),
            (
                &[
                    "b_.test..: http://a",
                    "h.test: {redirect: {port: 1, status: 305}}",
                    "j.test: {to: 'http://a', headers: {request: {set: {host: b}}}}",
                    "k.test: {to: 'http://a', cors: {origins: [a]}}",
                    "l.test: {respond: {status: 200, file: /none/such}}",
                ],
                &[
                    "`b_.test..` is no host",
                    "305",
                    "`host` belongs to the connection",
                    "`a` is no origin",
                    "cannot read `/none/such`",
                ],
            ),
        ] {
            let told = told_of(routes).await;
            for wanted in wanted {
                assert!(told.contains(wanted), "{wanted}: {told}");
            }
        }
    });
}

#[test]
fn a_mistake_in_a_filter_is_told_at_its_key() {
    promise(async {
        for (route, caret) in [
            (
                "{to: 'http://a', headers: {response: {set: {Host: a}}, request: {set: {Host: b}}}}",
                "b",
            ),
            (
                "{to: 'http://a', headers: {response: {add: {x-a: b}, remove: [x-b, X-A]}}}",
                "X-A",
            ),
            ("{redirect: {host: a b}}", "a b"),
            ("{redirect: {path: a}}", "a"),
            ("{redirect: {port: 1, status: 305}}", "305"),
            ("{to: 'http://a', rewrite: {host: 'a b'}}", "'a b'"),
            ("{to: 'http://a', rewrite: {path: b}}", "b"),
            (
                "{to: 'http://a', headers: {response: {remove: [te]}}}",
                "te",
            ),
            (
                "{to: 'http://a', headers: {request: {add: {upgrade: b}}}}",
                "b",
            ),
            ("{to: 'http://a', cors: {origins: [a]}}", "a"),
            ("{to: 'http://a', cors: {origins: ['*', '~(b']}}", "'~(b'"),
            (
                "{to: 'http://a', cors: {origins: ['*'], methods: [G T]}}",
                "G T",
            ),
            (
                "{to: 'http://a', cors: {origins: ['*'], methods: [put]}}",
                "put",
            ),
            (
                "{to: 'http://a', cors: {origins: ['*'], credentials: true}}",
                "true",
            ),
            ("{respond: {status: 200, file: /none/such}}", "/none/such"),
        ] {
            let told = told_of(&[&format!("h.test: {route}")]).await;
            let written = format!("      h.test: {route}");
            let column = written.rfind(caret).expect("it is there") + 1;
            assert!(
                told.contains(&format!("remora.yaml:5:{column}\n")),
                "{route}: {told}"
            );
        }
    });
}

#[test]
fn what_matches_nothing_is_a_mistake() {
    promise(async {
        let told = told_of(&["'c.test~/(': http://a"]).await;
        for wanted in ["the regular expression of the path", "remora.yaml:5:"] {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
        let told = told_of(&["a.test/: http://a", "a.test: http://b"]).await;
        assert!(told.contains("no request takes this route"), "{told}");
        let told = told_of(&[
            "GET,POST a.test: http://a",
            "GET a.test: http://b",
            "POST a.test: http://c",
        ])
        .await;
        let both = "no request takes this route: `GET a.test` and `POST a.test` go first";
        assert!(told.contains(both), "{told}");
        // What stands below the routes here is the listener's own.
        let hosts =
            "{a.test.: {}, x.b.test: {}, '*.a.test': {}, c.test: {}, '*.b.test': {}, d.test.: {}}";
        let tls = format!("tls: {{cert: /c, key: /k, hosts: {hosts}}}");
        let told = told_of(&[
            "a.test: http://a",
            "'*.b.test': http://a",
            &format!("c.test: http://a\n    {tls}"),
        ])
        .await;
        assert_eq!(told.matches("no route is for").count(), 2, "{told}");
        for host in ["*.a.test", "d.test."] {
            assert!(
                told.contains(&format!("no route is for `{host}`")),
                "{told}"
            );
        }
        let elsewhere = "passthrough: {c.test: 'tcp://c:1', '*.b.test': 'tcp://b:1'}";
        let told = told_of(&[
            "a.test: http://a",
            "'*.x.b.test': http://a",
            &format!("c.test: http://a\n    {elsewhere}\n    {tls}"),
        ])
        .await;
        for wanted in [
            "TLS for `c.test` is passed through",
            "TLS for `*.x.b.test` is passed through",
            "no route is for `c.test`",
        ] {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
    });
}
