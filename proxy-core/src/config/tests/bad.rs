//! Each kind of mistake in keys and values: where it is found, and what its remedy is.

use super::support::{assert_mistake, document, entry, mistakes};

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    assert_mistake(
        &entry("tiemout: {request: 5s}"),
        "5:5 unknown key `tiemout` | did you mean `timeout`?",
    );
    assert_mistake(
        &entry("max_headers: 1KiB"),
        "5:5 unknown key `max_headers` | did you mean `max-headers`?",
    );
    assert_mistake(
        &entry("pool: {zzz: 1}"),
        "5:12 unknown key `zzz` | the keys here are `connections`, `pending`, `streams`, `idle` and `age`",
    );
}

#[test]
fn nothing_is_found_behind_a_socket() {
    let text = |more: &str| {
        let to = "unix:/run/a.sock";
        format!("ambassador:\n  users:\n    listen: localhost:9000\n    to: {to}\n    {more}\n")
    };
    assert_mistake(
        &text("discover: srv"),
        "4:9 `unix:/run/a.sock` is a Unix socket, and there is nothing to find | write a name, or leave `discover` out",
    );
    assert!(document(&text("timeout: {request: 5s}")).is_ok());
}

#[test]
fn a_duplicate_key_is_told_with_the_line_of_the_first() {
    assert_mistake(
        &entry("to: http://b"),
        "5:5 duplicate key `to` | it already stands on line 4",
    );
}

#[test]
fn a_missing_key_is_told_at_the_entry() {
    let text = "ambassador:\n  users:\n    to: http://users\n";
    assert_mistake(
        text,
        "2:3 missing key `listen` | add `listen: ...` below this",
    );
}

#[test]
fn a_key_without_a_value_is_a_mistake() {
    assert_mistake(
        &entry("retry:"),
        "5:5 expected a map or `off`, found nothing | write its keys below it, or `off`",
    );
    assert_mistake(
        &entry("discover:"),
        "5:5 expected `dns`, `srv`, `env`, `static` or `{file: PATH}`, found nothing | ",
    );
    assert_mistake(
        "ambassador:\n",
        "1:1 expected a map, found nothing | write its keys below it, or as `{KEY: VALUE}`",
    );
}

#[test]
fn a_value_of_another_type_is_a_mistake() {
    assert_mistake(
        &entry("timeout: 5s"),
        "5:14 expected a map of timeouts, found the text `5s` | write its keys below it, or as `{KEY: VALUE}`",
    );
    assert_mistake(
        &entry("timeout: [5s]"),
        "5:5 expected a map of timeouts, found a list | write its keys below it, or as `{KEY: VALUE}`",
    );
    assert_mistake(
        &entry("retry: [2]"),
        "5:5 expected a value or `off`, found a list | ",
    );
    assert_mistake(
        &entry("retry: {on: connect}"),
        "5:17 expected a list, found the text `connect` | write `[connect]`",
    );
    assert_mistake(
        &entry("pool: {pending: many}"),
        "5:21 expected a whole number from 0 to 1000000, found the text `many` | ",
    );
    assert_mistake(
        &entry("pool: {idle: {}}"),
        "5:12 expected a duration such as `5s`, found a map | ",
    );
    assert_mistake(
        &entry("pool: {idle: true}"),
        "5:18 `true` is not a duration | write it like `5s`",
    );
    assert_mistake(
        "- a\n",
        "1:1 expected a map of settings, found a list | write its keys below it, or as `{KEY: VALUE}`",
    );
}

#[test]
fn a_bare_number_is_told_its_unit() {
    assert_mistake(
        &entry("timeout: {request: 5}"),
        "5:24 `5` has no unit, and a duration needs one | write `5s`",
    );
    assert_mistake(
        &entry("retry: {body: 65536}"),
        "5:19 `65536` has no unit, and a size needs one | write `65536B`",
    );
    assert_mistake(
        &entry("retry: {budget: 20}"),
        "5:21 `20` has no unit, and a percentage needs one | write `20%`",
    );
    assert_mistake(
        &entry("retry: {floor: 10}"),
        "5:20 `10` has no unit, and a rate needs one | write `10/s`",
    );
}

#[test]
fn an_unknown_unit_is_told_the_known_ones() {
    assert_mistake(
        &entry("timeout: {request: 5sec}"),
        "5:24 unknown unit of time in `5sec` | the units are `ms`, `s`, `m` and `h`, one to a value",
    );
    assert_mistake(
        &entry("max-headers: 64k"),
        "5:18 unknown unit of size in `64k` | write `64KiB`; the units are `B`, `KiB`, `MiB` and `GiB`",
    );
}

#[test]
fn numbers_out_of_range_are_mistakes() {
    assert_mistake(
        &entry("retry: {attempts: 11}"),
        "5:23 11 is out of range | write a number from 0 to 10",
    );
    assert_mistake(
        "workers: 0",
        "1:10 0 is out of range | write a number from 1 to 1024, or `auto`",
    );
    assert_mistake(
        "dns: {attempts: -1}",
        "1:17 -1 is out of range | write a number from 1 to 10",
    );
    assert_mistake(
        &entry("max-headers: 2MiB"),
        "5:18 2MiB is out of range | write a size from `1KiB` to `1MiB`",
    );
    assert_mistake(
        &entry("timeout: {request: 0s}"),
        "5:24 no time at all | write more than `0s`, or `off` for no limit",
    );
    assert_mistake(
        &entry("timeout: {connect: 0ms}"),
        "5:24 no time at all | write more than `0s`",
    );
    assert_mistake(
        "dns: {timeout: 0s}",
        "1:16 no time at all | write more than `0s`",
    );
    let weight = "ambassador: {a: {listen: localhost:1, to: [{to: http://a, weight: 0}]}}";
    assert_mistake(
        weight,
        "1:67 0 is out of range | write a number from 1 to 1000",
    );
}

#[test]
fn urls_that_no_upstream_has_are_mistakes() {
    let to = |url: &str| {
        mistakes(&format!(
            "ambassador: {{a: {{listen: localhost:1, to: {url}}}}}"
        ))
        .remove(0)
    };
    let unsupported = "this version speaks `http`, `h2c`, `https`, `tcp` and `tls` to upstreams";
    assert_eq!(
        to("gopher://a"),
        format!("1:43 unsupported scheme `gopher` | {unsupported}")
    );
    assert_eq!(
        to("sctp://a:1"),
        format!("1:43 unsupported scheme `sctp` | {unsupported}")
    );
    assert_eq!(
        to("a:8080"),
        "1:43 `a:8080` is not a URL | write it with its scheme, like `http://a:8080`"
    );
    assert_eq!(
        to("http://a/b?c"),
        "1:43 `/b?c` after the host: `to` takes no path or query | the request brings its own: write `http://a`"
    );
    assert_eq!(
        to("http://u:p@a:1"),
        "1:43 a user stands in the URL | credentials do not belong here: write `http://a:1`"
    );
    assert_eq!(
        to("tcp://a"),
        "1:43 a `tcp` URL needs a port | write one, like `tcp://a:5432`"
    );
    assert_eq!(
        to("http://a:0"),
        "1:43 `0` is not a port | write a number from 1 to 65535"
    );
    assert_eq!(
        to("http://10.0.0.300"),
        "1:43 `10.0.0.300` is not a host: it ends in a number and is no IPv4 address | write a host name, an IPv4 address, or an IPv6 address in brackets"
    );
    assert!(to("http://::1:80").starts_with("1:43 `::1:80` has too many colons"));
    assert!(
        to("{to: http://a}").starts_with("1:39 a map stands where a URL or a list of URLs belongs")
    );
}

#[test]
fn a_list_of_urls_has_one_scheme_and_at_least_one_url() {
    let list = |to: &str| format!("ambassador: {{a: {{listen: localhost:1, to: {to}}}}}");
    assert_mistake(
        &list("[]"),
        "1:39 `to` is an empty list | write at least one URL",
    );
    assert_mistake(
        &list("[http://a, h2c://b:1]"),
        "1:54 `h2c` among `http` URLs | all URLs of one entry have one scheme: write `http://b:1`",
    );
    // What was reported already leaves no gap that is reported again.
    assert_mistake(
        &list("[ftp://a]"),
        "1:44 unsupported scheme `ftp` | this version speaks `http`, `h2c`, `https`, `tcp` and `tls` to upstreams",
    );
}

#[test]
fn static_endpoints_are_addresses() {
    assert_mistake(
        &entry("discover: static"),
        "4:9 `users` is a name, and `discover: static` takes addresses | write an IP address, or `discover: dns`",
    );
    assert_mistake(
        &entry("discover: dnss"),
        "5:15 unknown value `dnss` | did you mean `dns`?",
    );
}

#[test]
fn the_authority_is_of_one_side_or_the_other() {
    assert_mistake(
        &entry("host: kep"),
        "5:11 unknown value `kep` | did you mean `keep`?",
    );
    assert_mistake(
        &entry("host:"),
        "5:5 expected `upstream` or `keep`, found nothing | ",
    );
}

#[test]
fn a_retry_waits_no_less_than_its_backoff() {
    assert_mistake(
        &entry("retry: {backoff: 1s, max-backoff: 10ms}"),
        "5:39 `max-backoff` 10ms is less than `backoff` 1s | write at least `1s`",
    );
    assert_mistake(
        &entry("retry: {backoff: 1s}"),
        "5:5 `max-backoff` 250ms is less than `backoff` 1s | write at least `1s`",
    );
}

#[test]
fn reasons_and_methods_of_retries_are_checked() {
    let help = "use `connect`, `reset`, `timeout`, `unavailable`, or a status such as `503`, `502-504`, `5xx`";
    assert_mistake(
        &entry("retry: {on: [conect]}"),
        &format!("5:18 `conect` is no reason for a retry | {help}"),
    );
    let help = "statuses run from 100 to 599, the lower one first";
    assert_mistake(
        &entry("retry: {on: [504-502]}"),
        &format!("5:18 `504-502` is not a range of statuses | {help}"),
    );
    assert_mistake(
        &entry("retry: {methods: [get]}"),
        "5:23 `get` is not in upper case | write `GET`",
    );
}

#[test]
fn names_of_entries_are_labels_and_their_content_is_checked_all_the_same() {
    let text = "ambassador:\n  Users:\n    listen: localhost:1\n    to: http://a/b\n";
    let found = mistakes(text);
    assert!(
        found[0].starts_with("2:3 `Users` is not a name of an entry | use lower-case letters"),
        "{found:?}"
    );
    assert!(found[1].starts_with("4:9 `/b` after the host"), "{found:?}");
    let long = format!(
        "ambassador: {{{}: {{listen: localhost:1, to: http://a}}}}",
        "a".repeat(64)
    );
    assert!(mistakes(&long)[0].contains("has more than 63 characters"));
}

#[test]
fn addresses_to_listen_on_are_checked() {
    let admin = |address: &str| mistakes(&format!("admin: {address}")).remove(0);
    assert_eq!(
        admin("9000"),
        "1:8 `9000` is not an address to listen on | write `localhost:9000`, or `\"*:9000\"` for every address"
    );
    assert_eq!(
        admin("10.0.0.1"),
        "1:8 `10.0.0.1` is not an address to listen on | add the port, like `10.0.0.1:9000`"
    );
    assert_eq!(
        admin("\"::1\""),
        "1:8 `::1` is not an address to listen on | add the port, like `[::1]:9000`"
    );
    assert_eq!(
        admin("localhost:70000"),
        "1:8 `70000` is not a port | write a number from 0 to 65535"
    );
    assert!(
        admin("web:80")
            .starts_with("1:8 cannot listen on the host `web` | the host is an IP address")
    );
    assert!(admin("\":80\"").starts_with("1:8 `:80` names no host | write `localhost:80`"));
}

#[test]
fn two_listeners_cannot_take_one_address() {
    let two = |a: &str, b: &str| {
        format!(
            "admin: off\nambassador:\n  b: {{listen: {a}, to: http://a}}\n  a: {{listen: {b}, to: http://a}}\n"
        )
    };
    assert_mistake(
        &two("localhost:9000", "127.0.0.1:9000"),
        "4:15 `127.0.0.1:9000` is taken by `b` | give each listener its own port",
    );
    assert_mistake(
        &two("10.0.0.1:9000", "\"*:9000\""),
        "4:15 `*:9000` is taken by `b` | give each listener its own port",
    );
    for (a, b) in [
        ("localhost:0", "localhost:0"),
        ("127.0.0.1:1", "127.0.0.2:1"),
        ("127.0.0.1:1", "\"[::1]:1\""),
    ] {
        assert!(document(&two(a, b)).is_ok(), "{a} {b}");
    }
    let admin = "ambassador: {a: {listen: localhost:15000, to: http://a}}";
    assert_mistake(
        admin,
        "1:26 `localhost:15000` is taken by `admin` | give each listener its own port",
    );
}

#[test]
fn variables_that_are_not_set_are_mistakes_at_their_place() {
    assert_mistake(
        "admin: localhost:${NOPE}",
        "1:18 the environment variable `NOPE` is not set | set it, or give a default: `${NOPE:-default}`",
    );
    assert_mistake(
        "admin: $PORT",
        "1:8 a lone `$` | write `${NAME}` for a variable, or `$$` for a `$`",
    );
    assert_mistake(
        "admin: ${PORT",
        "1:8 `${` without its `}` | close it, or write `$$` for a `$`",
    );
    let help = "write `${NAME}` or `${NAME:-default}`, the name in letters, digits and `_`";
    assert_mistake(
        "admin: ${1:?x}",
        &format!("1:8 `${{1:?x}}` names no variable | {help}"),
    );
}

#[test]
fn a_way_to_balance_that_there_is_not_is_a_mistake() {
    assert_mistake(
        &entry("balance: ring"),
        "5:14 unknown value `ring` | the values here are `p2c`, `least`, `round-robin`, \
         `{hash: {header: NAME}}`, `{hash: {cookie: NAME}}` and `{hash: source}`",
    );
    assert_mistake(
        &entry("balance: {hash: {heder: x}}"),
        "5:22 unknown key `heder` | did you mean `header`?",
    );
    assert_mistake(
        &entry("balance: {hash: {header: x, cookie: y}}"),
        "5:15 a hash is taken of one thing: `header` or `cookie` | ",
    );
    assert_mistake(
        &entry("balance: {hash: {header: 'a b'}}"),
        "5:30 `a b` is not the name of a header | write one like `x-user`",
    );
}

#[test]
fn a_connection_has_no_header_to_hash() {
    let text = "ambassador:\n  a:\n    listen: localhost:1\n    to: tcp://b:2\n    balance: {hash: {header: x}}\n";
    assert_mistake(
        text,
        "5:5 a TCP connection has neither headers nor cookies | write `{hash: source}`",
    );
}

#[test]
fn what_is_to_be_found_fits_the_way_it_is_found() {
    let with = |to: &str, discover: &str| {
        format!(
            "ambassador:\n  a:\n    listen: localhost:1\n    to: {to}\n    discover: {discover}\n"
        )
    };
    assert_mistake(
        &with("http://10.0.0.1", "srv"),
        "4:9 `10.0.0.1` is an address, and there is nothing to find | write a name, or `discover: static`",
    );
    assert_mistake(
        &with("http://users:8080", "srv"),
        "4:9 the port is that of the SRV record | write `http://users`",
    );
    assert_mistake(
        &with("[http://a, http://b]", "{file: /etc/endpoints}"),
        "4:5 a file holds all endpoints of its entry | write one URL: its scheme and authority count",
    );
    assert_mistake(
        &with("http://a", "{flie: /etc/endpoints}"),
        "5:16 unknown key `flie` | did you mean `file`?",
    );
}

#[test]
fn a_health_check_fits_its_scheme() {
    let with = |to: &str, health: &str| {
        format!("ambassador:\n  a:\n    listen: localhost:1\n    to: {to}\n    health: {health}\n")
    };
    assert_mistake(
        &with("http://a", "{path: healthz}"),
        "5:20 `healthz` is not a path | write one like `/healthz`",
    );
    assert_mistake(
        &with("http://a", "{grpc: ''}"),
        "5:20 gRPC needs HTTP/2 | write `h2c://` or `https://` in `to`, or `path`",
    );
    assert_mistake(
        &with("tcp://a:1", "{path: /}"),
        "5:20 a `tcp` entry only makes a connection | leave `path` out",
    );
    assert_mistake(
        &with("h2c://a", "{path: /, grpc: a}"),
        "5:29 `grpc` beside `path` | leave one of them out",
    );
    assert_mistake(
        &with("http://a", "{every: 0s}"),
        "5:21 no time at all | write more than `0s`",
    );
}

#[test]
fn tls_settings_fit_each_other() {
    let with = |to: &str, tls: &str| {
        format!("ambassador:\n  a:\n    listen: localhost:1\n    to: {to}\n    tls: {tls}\n")
    };
    assert_mistake(
        &with("http://a", "{ca: ca.pem}"),
        "5:5 `http` has no TLS | write `https://` in `to`",
    );
    assert_mistake(
        &with("tcp://a:1", "{ca: ca.pem}"),
        "5:5 `tcp` has no TLS | write `tls://` in `to`",
    );
    assert_mistake(
        &with("https://a", "{cert: a.pem}"),
        "5:17 `cert` without its `key` | add `key: FILE`",
    );
    assert_mistake(
        &with("https://a", "{key: a.pem}"),
        "5:16 `key` without its `cert` | add `cert: FILE`",
    );
    assert_mistake(
        &with("https://a", "{name: 'a b'}"),
        "5:17 `a b` is not a host | write a host name such as `users.default`, or an IP address",
    );
    assert_mistake(
        &with("https://a", "{spiffe: 'spiffe://a'}"),
        "5:19 `spiffe://a` is not a SPIFFE ID | write one like `spiffe://cluster.local/ns/default/sa/users`",
    );
    assert_mistake(
        &with("https://a", "{alpn: []}"),
        "5:11 nothing is offered | write `h2`, `http/1.1` or both",
    );
    assert_mistake(
        &with("tls://a:1", "{alpn: [h2]}"),
        "5:11 nothing is offered with `tls`: the bytes inside are the workload's own | leave it out",
    );
    assert_mistake(
        &with("https://a", "{alpn: [h3]}"),
        "5:18 unknown value `h3` | did you mean `h2`?",
    );
}

#[test]
fn policies_fit_their_entry() {
    assert_mistake(
        &entry("limit: {in-flight: 0}"),
        "5:24 0 is out of range | write a number from 1 to 1000000, `adaptive` or `off`",
    );
    assert_mistake(
        &entry("hedge: {after: 0s}"),
        "5:20 no time at all | write more than `0s`",
    );
    assert_mistake(
        &entry("subset: 0"),
        "5:13 0 is out of range | write a number from 1 to 100000",
    );
    assert_mistake(
        &entry("eject: {slow: 1}"),
        "5:19 1 is out of range | write a number from 2 to 1000",
    );
    assert_mistake(
        &entry("inject: {}"),
        "5:5 nothing is made | write `delay: {share: 10%, for: 1s}`, `abort: {share: 10%, status: 503}` or both",
    );
    assert_mistake(
        &entry("inject: {abort: {share: 5%, status: 200}}"),
        "5:41 200 is out of range | write a number from 400 to 599",
    );
    assert_mistake(
        &entry("paths: {reports: {retry: off}}"),
        "5:13 `reports` is not a path | write one like `/reports`, without a query",
    );
    assert_mistake(
        &entry("paths: {/reports: {timeout: {request: 0s}}}"),
        "5:43 no time at all | write more than `0s`, or `off` for no limit",
    );
    assert_mistake(
        &entry("paths: {/reports: {balance: least}}"),
        "5:24 unknown key `balance` | the keys here are `timeout`, `retry`, `hedge`, `inject` and `mirror`",
    );
    assert_mistake(
        "ambassador: {a: {listen: localhost:1, to: tcp://a:1, hedge: {after: 1s}}}",
        "1:54 `hedge` is about requests, and this entry carries bytes | leave it out",
    );
}

#[test]
fn a_mirror_gets_requests_of_an_entry_of_requests() {
    assert_mistake(
        &entry("mirror: {share: 10%}"),
        "5:5 missing key `to` | add `to: ...` below this",
    );
    assert_mistake(
        &entry("mirror: http://users-next"),
        "5:13 expected a map with `to`, or `off`, found the text `http://users-next` | \
         write its keys below it, or `off`",
    );
    assert_mistake(
        &entry("mirror: {to: http://users-next, share: 10}"),
        "5:44 `10` has no unit, and a percentage needs one | write `10%`",
    );
    for to in ["tcp", "tls"] {
        assert_mistake(
            &entry(&format!("mirror: {{to: {to}://users-next:1}}")),
            &format!(
                "5:18 a mirror gets requests, and `{to}` carries bytes | write `http://`, `h2c://` or `https://`"
            ),
        );
    }
    assert_mistake(
        "ambassador: {a: {listen: localhost:1, to: tcp://a:1, mirror: {to: http://b}}}",
        "1:54 `mirror` is about requests, and this entry carries bytes | leave it out",
    );
}

#[test]
fn a_mirror_keeps_the_rules_of_an_entry() {
    assert_mistake(
        &entry("mirror: {to: [http://a, h2c://b]}"),
        "5:29 `h2c` among `http` URLs | all URLs of one entry have one scheme: write `http://b:80`",
    );
    assert_mistake(
        &entry("mirror: {to: []}"),
        "5:14 `to` is an empty list | write at least one URL",
    );
    assert_mistake(
        &entry("mirror: {to: http://a, discover: static}"),
        "5:18 `a` is a name, and `discover: static` takes addresses | write an IP address, or `discover: dns`",
    );
    assert_mistake(
        &entry("mirror: {to: http://a, tls: {ca: ca.pem}}"),
        "5:28 `http` has no TLS | write `https://` in `to`",
    );
    assert_mistake(
        &entry("paths: {/a: {mirror: {to: https://a, tls: {cert: a.pem}}}}"),
        "5:54 `cert` without its `key` | add `key: FILE`",
    );
    assert_mistake(
        &entry("paths: {/a: {mirror: {to: tcp://a:1}}}"),
        "5:31 a mirror gets requests, and `tcp` carries bytes | write `http://`, `h2c://` or `https://`",
    );
}

#[test]
fn a_header_for_one_client_is_not_for_connections_of_many() {
    let of = |to: &str, more: &str| {
        let text = format!("{more}send-proxy: v2");
        entry(&text).replace("to: http://users:8080", &format!("to: {to}"))
    };
    let wrong = "a connection of HTTP/2 is not one client's";
    assert_mistake(
        &of("h2c://users:1", ""),
        &format!("5:17 {wrong} | write `http://` in `to`, or leave it out"),
    );
    assert_mistake(
        &of("https://users", ""),
        &format!("5:17 {wrong} | write `tls: {{alpn: [http/1.1]}}`"),
    );
    let good = of("https://users", "tls: {alpn: [http/1.1]}\n    ");
    assert!(document(&good).is_ok(), "{good}");
    assert!(document(&of("tls://users:1", "")).is_ok());
}

#[test]
fn what_could_never_end_or_never_be_is_a_mistake() {
    for (more, expected) in [
        (
            "timeout: {request: 1s, try: 5s}",
            "5:33 a try of 5s cannot end before its request, at 1s | write less, or more for `request`",
        ),
        (
            "paths: {/a: {retry: off}, /a/: {retry: off}}",
            "5:31 `/a/` is the same path as `/a` | write one of them, with all of its policies",
        ),
    ] {
        assert_mistake(&entry(more), expected);
    }
    for (listen, to, leads_back) in [
        ("localhost:9000", "http://localhost:9000", true),
        ("localhost:9000", "http://127.0.0.1:9000", true),
        ("127.0.0.1:9000", "http://localhost:9000", false),
        ("\"*:9000\"", "http://localhost:9000", true),
        ("0.0.0.0:9000", "http://127.0.0.1:9000", true),
        ("0.0.0.0:9000", "http://[::1]:9000", false),
        ("127.0.0.1:9000", "http://0.0.0.0:9000", true),
        ("10.0.0.1:9000", "http://0.0.0.0:9000", false),
        ("\"*:9000\"", "http://[::1]:9000", true),
        ("10.0.0.1:9000", "http://10.0.0.1:9000", true),
        ("10.0.0.1:9000", "http://127.0.0.1:9000", false),
        ("localhost:9000", "http://localhost:9001", false),
        ("localhost:9000", "http://users:9000", false),
        ("\"[::1]:9000\"", "http://127.0.0.1:9000", false),
    ] {
        let text = format!("ambassador:\n  users:\n    listen: {listen}\n    to: {to}\n");
        let told = document(&text).err().map(|errors| errors.to_string());
        let is_told = told.is_some_and(|told| told.contains("is where this entry listens itself"));
        assert_eq!(is_told, leads_back, "{listen} {to}");
    }
}
