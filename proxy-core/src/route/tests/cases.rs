//! Who matches, and who goes first: the rules of Gateway API as cases.

use super::support::{find, table};

/// Matches, and what each request finds among them.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, Option<usize>)],
);

fn check(cases: &[Case]) {
    for (rules, requests) in cases {
        let table = table(rules);
        for (request, expected) in *requests {
            assert_eq!(find(&table, request), *expected, "{request} in {rules:?}");
        }
    }
}

#[test]
fn hosts() {
    check(&[
        (
            &["example.com /"],
            &[
                ("example.com/", Some(0)),
                ("EXAMPLE.com/", Some(0)),
                ("example.com:8443/", Some(0)),
                ("example.com./", Some(0)),
                ("www.example.com/", None),
                ("example.org/", None),
                ("/", None),
            ],
        ),
        // A suffix: one label or more, and never none (HTTPRouteSpec.hostnames).
        (
            &["*.example.com /"],
            &[
                ("test.example.com/", Some(0)),
                ("foo.test.example.com/", Some(0)),
                ("Foo.Example.COM:80/", Some(0)),
                ("example.com/", None),
                (".example.com/", None),
                ("testexample.com/", None),
                ("test.example.net/", None),
                ("example.com.evil.net/", None),
            ],
        ),
        (
            &["* /"],
            &[
                ("example.com/", Some(0)),
                ("10.0.0.1:80/", Some(0)),
                ("[::1]:80/", Some(0)),
                ("/", Some(0)),
            ],
        ),
        (
            &["10.0.0.1 /", "[::1] /"],
            &[
                ("10.0.0.1:80/", Some(0)),
                ("[::1]:80/", Some(1)),
                ("[::2]/", None),
            ],
        ),
    ]);
}

#[test]
fn hosts_go_by_length() {
    check(&[
        // The most characters of a name that is no wildcard, then the most characters.
        (
            &[
                "* /",
                "*.com /",
                "*.example.com /",
                "*.b.example.com /",
                "a.b.example.com /",
            ],
            &[
                ("a.b.example.com/", Some(4)),
                ("c.b.example.com/", Some(3)),
                ("b.example.com/", Some(2)),
                ("x.y.example.com/", Some(2)),
                ("example.com/", Some(1)),
                ("example.org/", Some(0)),
                ("com/", Some(0)),
            ],
        ),
        // A host goes before everything else that is specific.
        (
            &["*.example.com =/a GET x:1", "a.example.com /"],
            &[
                ("a.example.com/a x:1", Some(1)),
                ("b.example.com/a x:1", Some(0)),
            ],
        ),
        // What a host has no path for is left to less specific ones.
        (
            &["* /", "*.example.com /b", "a.example.com /a"],
            &[
                ("a.example.com/a", Some(2)),
                ("a.example.com/b", Some(1)),
                ("a.example.com/c", Some(0)),
            ],
        ),
    ]);
}

#[test]
fn paths() {
    check(&[
        // PathMatchExact.
        (
            &["* =/abc"],
            &[
                ("a/abc", Some(0)),
                ("a/abc?x=1", Some(0)),
                ("a/abc/", None),
                ("a/Abc", None),
                ("a/abcd", None),
                ("a/", None),
                ("a/%61bc", Some(0)),
            ],
        ),
        // PathMatchPathPrefix.
        (
            &["* /abc"],
            &[
                ("a/abc", Some(0)),
                ("a/abc/", Some(0)),
                ("a/abc/def", Some(0)),
                ("a/abc//def", Some(0)),
                ("a/abcd", None),
                ("a/ABC", None),
                ("a/", None),
                ("a//abc", None),
                ("a/abc%2Fdef", None),
                ("a/abc;v=1", None),
            ],
        ),
        // A trailing slash of a prefix is ignored.
        (
            &["* /abc/"],
            &[
                ("a/abc", Some(0)),
                ("a/abc/", Some(0)),
                ("a/abc/d", Some(0)),
                ("a/abcd", None),
            ],
        ),
        (&["* =/"], &[("a/", Some(0)), ("a/a", None), ("a//", None)]),
        (
            &["* =/a/"],
            &[("a/a/", Some(0)), ("a/a", None), ("a/a/b", None)],
        ),
        (
            &["* /%C3%A4"],
            &[("a/%c3%a4/x", Some(0)), ("a/%c3%a5", None)],
        ),
        (&["* =/a%2fb"], &[("a/a%2Fb", Some(0)), ("a/a/b", None)]),
    ]);
}

#[test]
fn expressions_match_whole_paths_and_the_longest_prefix_wins() {
    check(&[
        // Expressions match the whole path, without the query.
        (
            &["* ~/v[0-9]+/users"],
            &[
                ("a/v12/users", Some(0)),
                ("a/v12/users?x=1", Some(0)),
                ("a/v12/users/", None),
                ("a/x/v12/users", None),
                ("a/V12/users", None),
            ],
        ),
        (&["* ~(?i)/v1"], &[("a/V1", Some(0))]),
        (&["* ~/a|/ab"], &[("a/ab", Some(0)), ("a/abc", None)]),
        // The conformance suite's HTTPRoutePathMatchOrder.
        (
            &[
                "* =/match",
                "* =/match/exact",
                "* =/match/exact/one",
                "* /match/",
                "* /match",
                "* /match/prefix/",
                "* /match/prefix/one",
            ],
            &[
                ("a/match/exact/one", Some(2)),
                ("a/match/exact", Some(1)),
                ("a/match", Some(0)),
                ("a/match/prefix/one/any", Some(6)),
                ("a/match/prefix/any", Some(5)),
                ("a/match/any", Some(3)),
            ],
        ),
    ]);
}

#[test]
fn kinds_of_paths_have_an_order() {
    check(&[
        (
            &["* /", "* /a", "* /a/b", "* ~/a/.*", "* =/a/b"],
            &[
                ("a/a/b", Some(4)),
                ("a/a/b/c", Some(3)),
                ("a/a/c", Some(3)),
                ("a/a", Some(1)),
                ("a/b", Some(0)),
            ],
        ),
        // Whatever else they ask for.
        (
            &["* /a GET x:1 ?q=1", "* =/a"],
            &[("a/a?q=1 x:1", Some(1)), ("a/a/b?q=1 x:1", Some(0))],
        ),
        (
            &["* /a GET x:1 ?q=1", "* ~/a.*"],
            &[("a/a?q=1 x:1", Some(1))],
        ),
        (
            &["* /a GET x:1 ?q=1", "* /a/b"],
            &[
                ("a/a/b?q=1 x:1", Some(1)),
                ("a/a?q=1 x:1", Some(0)),
                ("a/a", None),
            ],
        ),
        // A longer prefix whose conditions fail leaves the request to a shorter one.
        (
            &["* /a/b POST", "* /a", "* =/a/b/c DELETE"],
            &[
                ("a/a/b", Some(1)),
                ("POST a/a/b", Some(0)),
                ("a/a/b/c", Some(1)),
            ],
        ),
        // Expressions among themselves: by conditions, then by order.
        (
            &["* ~/a.*", "* ~/ab.*", "* ~/a.* x:1"],
            &[("a/abc", Some(0)), ("a/abc x:1", Some(2))],
        ),
    ]);
}

#[test]
fn methods_and_headers() {
    check(&[
        (
            &["* / POST"],
            &[("POST a/", Some(0)), ("a/", None), ("PUT a/", None)],
        ),
        // Names in any case, values by byte.
        (
            &["* / X-Env:canary"],
            &[
                ("a/ x-env:canary", Some(0)),
                ("a/ X-ENV:canary", Some(0)),
                ("a/ x-env:Canary", None),
                ("a/ x-env:canary2", None),
                ("a/", None),
            ],
        ),
        // All must match.
        (
            &["* / x:1 y:2"],
            &[
                ("a/ x:1 y:2", Some(0)),
                ("a/ x:1", None),
                ("a/ x:1 y:3", None),
            ],
        ),
        // Of one name the first counts.
        (&["* / x:1 X:2"], &[("a/ x:1", Some(0)), ("a/ x:2", None)]),
        // Several lines are one value.
        (
            &["* / x:1", "* /l x:~1,.2"],
            &[
                ("a/ x:1 x:2", None),
                ("a/l x:1 x:2", Some(1)),
                ("a/l x:1", Some(0)),
            ],
        ),
        (
            &["* / x:~v[12]"],
            &[
                ("a/ x:v1", Some(0)),
                ("a/ x:v3", None),
                ("a/ x:v12", None),
                ("a/", None),
            ],
        ),
    ]);
}

#[test]
fn parameters() {
    check(&[
        (
            &["* / ?animal=whale"],
            &[
                ("a/?animal=whale", Some(0)),
                ("a/?x=1&animal=whale", Some(0)),
                ("a/?animal=%77hale", Some(0)),
                ("a/?animal=dolphin", None),
                ("a/?animal=dolphin&animal=whale", None),
                ("a/?Animal=whale", None),
                ("a/?animal=whales", None),
                ("a/", None),
            ],
        ),
        (
            &["* / ?a=~[0-9]+"],
            &[("a/?a=12", Some(0)), ("a/?a=1b", None), ("a/?a", None)],
        ),
        (&["* / ?a=1 ?a=2"], &[("a/?a=1", Some(0)), ("a/?a=2", None)]),
        (
            &["* / ?a="],
            &[("a/?a", Some(0)), ("a/?a=", Some(0)), ("a/?b", None)],
        ),
    ]);
}

#[test]
fn ties_go_by_method_then_headers_then_parameters_then_order() {
    check(&[
        // A method goes before any number of headers.
        (
            &["* /a x:1 y:2", "* /a GET"],
            &[("a/a x:1 y:2", Some(1)), ("POST a/a x:1 y:2", Some(0))],
        ),
        (
            &["* /a x:1", "* /a x:1 y:2", "* /a"],
            &[
                ("a/a x:1 y:2", Some(1)),
                ("a/a x:1", Some(0)),
                ("a/a", Some(2)),
            ],
        ),
        // Headers go before any number of parameters.
        (
            &["* /a ?a=1 ?b=2", "* /a x:1"],
            &[("a/a?a=1&b=2 x:1", Some(1)), ("a/a?a=1&b=2", Some(0))],
        ),
        (
            &["* /a ?a=1", "* /a ?a=1 ?b=2"],
            &[("a/a?a=1&b=2", Some(1)), ("a/a?a=1", Some(0))],
        ),
        (
            &["* /a x:1", "* /a y:2"],
            &[("a/a x:1 y:2", Some(0)), ("a/a y:2", Some(1))],
        ),
        (&["* /a", "* /a"], &[("a/a", Some(0))]),
        // A name that is repeated is one header.
        (&["* /a x:1 x:1", "* /a x:1"], &[("a/a x:1", Some(0))]),
        (&["* =/a x:1", "* =/a GET"], &[("a/a x:1", Some(1))]),
    ]);
}
