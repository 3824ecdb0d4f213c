//! The section of the edge role: the keys of routes, their short forms, and what is written out again.

use crate::config::{Document, Errors, Flags, Lead, RouteKey, RoutePath, Section, effective};

fn read(text: &str) -> Result<Document, Errors> {
    Section::Ingress.parse(text, "remora.yaml", &|_| None)
}

#[track_caller]
fn ingress(text: &str) -> Document {
    read(text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_key_says_methods_host_path_and_label() {
    let prefix = |path: &str| RoutePath::Prefix(path.to_owned());
    for (text, methods, host, path, name) in [
        ("a.test", &[][..], "a.test", prefix("/"), "a.test"),
        ("a.test/x", &[], "a.test", prefix("/x"), "a.test/x"),
        ("/x", &[], "", prefix("/x"), "/x"),
        ("*", &[], "*", prefix("/"), "*"),
        (
            "*.a.test:8080#web",
            &[],
            "*.a.test:8080",
            prefix("/"),
            "web",
        ),
        (
            "GET,HEAD a.test=/x#exact",
            &["GET", "HEAD"],
            "a.test",
            RoutePath::Exact("/x".to_owned()),
            "exact",
        ),
        (
            "a.test~/[a-z]+ #x/=y",
            &[],
            "a.test",
            RoutePath::Regex("/[a-z]+ #x/=y".to_owned()),
            "a.test~/[a-z]+ #x/=y",
        ),
    ] {
        let key: RouteKey = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(key.methods(), methods, "{text}");
        assert_eq!(
            (key.host(), key.path(), key.name()),
            (host, &path, name),
            "{text}"
        );
        assert_eq!(key.to_string(), text);
    }
    for wrong in [
        "",
        "#a",
        "get a.test",
        "a.test=x",
        "a.test~",
        "a test",
        "a_b$.test",
        "a#B",
    ] {
        assert!(wrong.parse::<RouteKey>().is_err(), "{wrong}");
    }
}

#[test]
fn a_route_is_written_short_or_long_and_read_back_alike() {
    let text = "ingress:
  edge:
    listen: :8443
    tls: {folder: /certs, hosts: {'*.a.test': {client-ca: ca.pem, client: optional}, b.test: {}}}
    hsts: {preload: false}
    compress: {codings: [gzip], min-size: 2KiB}
    errors: {'502-504': sorry.html}
    passthrough: {deep.test: tcp://deep:443}
    timeout: {idle: off}
    routes:
      a.test: http://a
      b.test: [http://b, {to: http://c, weight: 3}]
      c.test/x#x:
        when: {headers: {x-beta: 1}, query: {v: '~[0-9]+'}}
        to: https://d
        rewrite: {prefix: /, host: d.test}
        headers: {request: {set: {x-a: 7}, remove: [x-b]}}
        cors: {origins: ['*']}
        timeout: {request: 1s}
        retry: off
      'POST d.test': {redirect: {scheme: https, port: 8443, status: 307}}
      e.test: {respond: {status: 503, body: soon}}
ambassador: {users: {zzz: '${NOPE}'}}
";
    let document = ingress(text);
    let gateway = &document.config.ingress[&"edge".parse().unwrap()];
    let routes: Vec<&str> = gateway.routes.keys().map(RouteKey::name).collect();
    assert_eq!(routes, ["POST d.test", "a.test", "b.test", "x", "e.test"]);
    let Lead(long) = &gateway.routes[&"c.test/x#x".parse().unwrap()];
    let entry = long.entry().expect("an upstream");
    assert!(entry.tls.is_some() && entry.retry.on().is_none());
    let written = effective(&document.config);
    assert_eq!(ingress(&written).config, document.config, "{written}");
}

#[test]
fn rules_that_join_values_hold_for_gateways() {
    for (settings, wanted) in [
        ("max-headers: 1KiB", "there is no route"),
        (
            "hsts: {}\n    routes: {a.test: 'http://a'}",
            "only inside TLS",
        ),
        (
            "passthrough: {a.test: 'tcp://a:1'}\n    routes: {b.test: 'http://a'}",
            "its routes need `tls`",
        ),
        ("passthrough: {a.test: 'http://a'}", "write `tcp://a:80`"),
        ("passthrough: {a.test: []}", "the list is empty"),
        ("routes: {a.test: {to: []}}", "`to` is an empty list"),
        ("routes: {a.test: {to: 'http://a', zzz: 1}}", "zzz"),
        (
            "routes: {a.test: {to: 'http://a', retry: {backoff: 1s, max-backoff: 5ms}}}",
            "is less than `backoff`",
        ),
        (
            "routes: {a.test: {respond: {status: 200, body: a, file: b}}}",
            "`file` beside `body`",
        ),
        (
            "tls: {folder: /certs, hosts: {a.test: {client: optional}}}\n    routes: {a.test: 'http://a'}",
            "no client is asked",
        ),
        (
            "routes: {a.test: {redirect: {status: 301}}}",
            "write `scheme: https`, `host`",
        ),
        (
            "tls: {folder: /certs}\n    routes: {a.test: {redirect: {scheme: https}}}",
            "leads to where the request came to",
        ),
        (
            "routes: {a.test: {to: 'http://a', host: upstream, rewrite: {host: b}}}",
            "`rewrite.host` beside `host: upstream`",
        ),
        (
            "routes: {a.test: 'http://localhost:8443'}",
            "is where this entry listens itself",
        ),
        (
            "routes: {'CONNECT a.test': 'http://a'}",
            "CONNECT is not served",
        ),
        ("routes: {'a.test~x.*': 'http://a'}", "each begins with `/`"),
    ] {
        let text = format!("ingress:\n  edge:\n    listen: :8443\n    {settings}\n");
        let told = read(&text).expect_err(settings).to_string();
        assert!(told.contains(wanted), "{settings}: {told}");
    }
}

#[test]
fn what_only_seems_to_lead_nowhere_is_taken() {
    for routes in [
        "{a.test: {redirect: {}, when: {headers: {x-forwarded-proto: http}}}}",
        "{a.test: {redirect: {scheme: https}}}",
        "{'a.test~x?/b': 'http://a', 'b.test~x|/y': 'http://a', 'c.test~(/x)': 'http://a'}",
        "{a.test: 'http://localhost:8444', b.test: 'http://10.0.0.1:8443'}",
    ] {
        let text = format!("ingress:\n  edge:\n    listen: :8443\n    routes: {routes}\n");
        let text = text.replace(" :8443", " localhost:8443");
        if let Err(told) = read(&text) {
            panic!("{routes}: {told}");
        }
    }
}

#[test]
fn flags_make_a_gateway_of_one_service() {
    let flags = Flags {
        section: Section::Ingress,
        listen: vec![":8080".to_owned()],
        to: vec!["http://shop".to_owned()],
        ..Flags::default()
    };
    let document = flags.document().unwrap_or_else(|errors| panic!("{errors}"));
    let gateway = &document.config.ingress[&"default".parse().unwrap()];
    assert_eq!(gateway.routes.len(), 1);
    assert_eq!(document.listeners().len(), 1);
}
