//! The section of the inbound role: its own keys and defaults, and whose mistakes count.

use crate::config::{
    AcmeChallenge, Document, Errors, Flags, ForwardedField, HostPolicy, Inbound, OrOff,
    ProxyVersion, RetryOn, Section, effective,
};

fn read(section: Section, text: &str) -> Result<Document, Errors> {
    section.parse(text, "remora.yaml", &|_| None)
}

#[track_caller]
fn sidecar(text: &str) -> Document {
    read(Section::Sidecar, text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn web(document: &Document) -> &Inbound {
    &document.config.sidecar[&"web".parse().expect("a name")]
}

const SMALLEST: &str = "sidecar:\n  web:\n    listen: :8443\n    to: http://localhost:8080\n";

#[test]
fn the_shortest_entry_gets_the_defaults_of_its_role() {
    let document = sidecar(SMALLEST);
    assert_eq!(document.config.admin, OrOff::On(Section::Sidecar.admin()));
    assert_eq!(document.config.drain.delay.to_string(), "5s");
    let web = web(&document);
    assert_eq!(web.host, HostPolicy::Keep);
    let retry = web.retry.on().expect("it retries");
    assert_eq!(retry.on, [RetryOn::Connect]);
    let forwarded = web.forwarded.on().expect("it tells who called");
    assert_eq!(forwarded.fields, [ForwardedField::XForwarded]);
    assert!(forwarded.trust.is_empty());
    assert_eq!(web.listen.0.sockets().len(), 2);
}

#[test]
fn what_is_written_holds_and_the_rest_is_the_roles() {
    let more = "    retry: {attempts: 1}\n    paths:\n      /a: {retry: {on: [reset]}}\n      /b: {retry: {}}\n";
    let document = sidecar(&format!(
        "admin: off\ndrain: {{delay: 0s}}\n{SMALLEST}{more}"
    ));
    assert_eq!(document.config.admin, OrOff::Off);
    assert!(document.config.drain.delay.is_zero());
    let web = web(&document);
    let of_path = |path: &str| {
        web.paths[path]
            .retry
            .clone()
            .and_then(|retry| retry.on().cloned())
    };
    assert_eq!(
        web.retry.on().map(|retry| retry.on.clone()),
        Some(vec![RetryOn::Connect])
    );
    assert_eq!(
        of_path("/a").map(|retry| retry.on),
        Some(vec![RetryOn::Reset])
    );
    assert_eq!(
        of_path("/b").map(|retry| retry.on),
        Some(vec![RetryOn::Connect])
    );
}

#[test]
fn what_is_written_out_reads_back_equal() {
    for more in [
        "",
        "    forwarded: {trust: [10.0.0.0/8, '::1'], fields: []}\n",
        "    forwarded: off\n    mirror: {to: 'https://a'}\n",
    ] {
        let document = sidecar(&format!("{SMALLEST}{more}"));
        let written = effective(&document.config);
        let again = sidecar(&written);
        assert_eq!(again.config, document.config, "{written}");
        assert_eq!(effective(&again.config), written);
    }
}

#[test]
fn each_role_is_blind_to_the_mistakes_of_the_other() {
    let text = "ambassador: {Bad_Name: {lissen: '${NOPE}'}}\nsidecarr: {web: {lissen: 1}}\n";
    let errors = read(Section::Ambassador, text).unwrap_err();
    let said: Vec<&str> = errors.iter().map(|error| error.message()).collect();
    assert!(said.contains(&"unknown key `sidecarr`"), "{said:?}");
    assert!(!errors.to_string().contains("remora.yaml:2:2"), "{errors}");
    let text = format!("ambassador: {{Bad_Name: {{lissen: '${{NOPE}}'}}}}\n{SMALLEST}");
    assert!(sidecar(&text).config.ambassador.is_empty());
}

#[test]
fn flags_make_entries_of_the_role() {
    let flags = Flags {
        section: Section::Sidecar,
        listen: vec![":8443".to_owned(), ":15010".to_owned(), "8080".to_owned()],
        to: vec![
            "http://localhost:8080".to_owned(),
            "http://a".to_owned(),
            "tcp://b".to_owned(),
        ],
        ..Flags::default()
    };
    let errors = flags.document().unwrap_err();
    let said: Vec<&str> = errors.iter().map(|error| error.message()).collect();
    assert_eq!(
        said,
        [
            "`8080` is not an address to listen on",
            "a `tcp` URL needs a port",
            "`*:15010` is taken by `admin`",
        ]
    );
    let first = |all: &[String]| all[..1].to_vec();
    let flags = Flags {
        listen: first(&flags.listen),
        to: first(&flags.to),
        ..flags
    };
    let document = flags.document().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(document.entries().len(), 1);
    assert_eq!(document.entries()[0].1.host, HostPolicy::Keep);
}

#[test]
fn a_certificate_of_flags_is_that_of_each_entry() {
    let flags = |cert: Option<&str>, key: Option<&str>, count: usize| Flags {
        section: Section::Sidecar,
        listen: [":8443", ":9443"][..count]
            .iter()
            .map(ToString::to_string)
            .collect(),
        to: vec!["unix:/run/app.sock".to_owned(); count],
        cert: cert.map(ToOwned::to_owned),
        key: key.map(ToOwned::to_owned),
        ..Flags::default()
    };
    let document = flags(Some("c.pem"), Some("k.pem"), 2).document();
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    for entry in document.config.sidecar.values() {
        let tls = entry.tls.clone().unwrap_or_default();
        assert_eq!(
            (tls.cert, tls.key),
            (Some("c.pem".into()), Some("k.pem".into()))
        );
    }
    let error = document.error_at(&["sidecar", "default", "tls", "key"], "wrong", "");
    assert_eq!(error.flag(), Some("--key k.pem"));
    let again = sidecar(&effective(&document.config));
    assert_eq!(again.config, document.config);
    for (flags, flag, said) in [
        (
            flags(Some("c"), None, 1),
            "--cert c",
            "`--cert` without its `--key`",
        ),
        (
            flags(None, Some("k"), 1),
            "--key k",
            "`--key` without its `--cert`",
        ),
    ] {
        let errors = flags.document().unwrap_err();
        let first = errors
            .iter()
            .next()
            .map(|error| (error.flag(), error.message()));
        assert_eq!(first, Some((Some(flag), said)));
    }
    let errors = flags(Some("c"), Some("k"), 0)
        .apply(sidecar(SMALLEST))
        .unwrap_err();
    assert!(
        errors.to_string().contains("`--cert` without a `--listen`"),
        "{errors}"
    );
}

#[test]
fn headers_of_the_proxy_protocol_come_from_somebody_and_tell_of_one_client() {
    let document = sidecar(SMALLEST);
    assert_eq!(web(&document).proxy_protocol, OrOff::Off);
    assert_eq!(web(&document).send_proxy, OrOff::Off);
    let more = "    proxy-protocol: {from: [10.0.0.0/8, '::1']}\n    send-proxy: v2\n";
    let document = sidecar(&format!("{SMALLEST}{more}"));
    let accepted = web(&document)
        .proxy_protocol
        .on()
        .expect("some are accepted");
    assert_eq!(accepted.from.len(), 2);
    assert_eq!(web(&document).send_proxy, OrOff::On(ProxyVersion::V2));
    let again = sidecar(&effective(&document.config));
    assert_eq!(again.config, document.config);
    for (more, said) in [
        ("proxy-protocol: {from: []}", "nobody could connect"),
        ("proxy-protocol: {}", "missing key `from`"),
        (
            "proxy-protocol: {from: [a]}",
            "`a` is not a range of addresses",
        ),
        ("send-proxy: v3", "unknown value `v3`"),
        (
            "to: h2c://localhost:1\n    send-proxy: v1",
            "a connection of HTTP/2 is not one client's",
        ),
    ] {
        let text = match more.starts_with("to:") {
            true => SMALLEST.replace("    to: http://localhost:8080\n", ""),
            false => SMALLEST.to_owned(),
        };
        let errors = read(Section::Sidecar, &format!("{text}    {more}\n")).unwrap_err();
        let said_first = errors.iter().next().map(|error| error.message());
        assert_eq!(said_first, Some(said), "{more}");
    }
}

#[test]
fn certificates_go_together() {
    for (tls, said) in [
        ("{cert: a}", "a certificate and its key go together"),
        ("{}", "there is no certificate to show"),
        (
            "{folder: a, crl: [b]}",
            "no client is asked for a certificate",
        ),
        (
            "{folder: a, client: optional}",
            "no client is asked for a certificate",
        ),
        (
            "{folder: a, client: required}",
            "no client is asked for a certificate",
        ),
        (
            "{folder: a, hosts: {a.test: {client: required}}}",
            "no client is asked for a certificate",
        ),
        ("{folder: a, banana: b}", "unknown key `banana`"),
        (
            "{folder: a, tickets: [b]}",
            "expected a string, found a list",
        ),
    ] {
        let errors = read(Section::Sidecar, &format!("{SMALLEST}    tls: {tls}\n")).unwrap_err();
        assert_eq!(
            errors.iter().next().map(|error| error.message()),
            Some(said),
            "{tls}"
        );
    }
    let document = sidecar(&format!(
        "{SMALLEST}    tls: {{folder: a, client-ca: b, tickets: c}}\n"
    ));
    let again = sidecar(&effective(&document.config));
    assert_eq!(again.config, document.config);
}

/// An entry that obtains its certificate, with these further keys.
fn obtaining(names: &str, more: &str) -> String {
    format!("{SMALLEST}    tls: {{acme: {{names: {names}, folder: /a{more}}}}}\n")
}

#[test]
fn a_certificate_that_is_obtained_needs_little() {
    let text = obtaining("[shop.example.com]", ", terms: agreed");
    let document = sidecar(&text);
    let tls = web(&document).tls.as_ref().expect("TLS");
    let acme = tls.acme.as_ref().expect("ACME");
    assert_eq!(
        acme.directory,
        "https://acme-v02.api.letsencrypt.org/directory"
    );
    assert_eq!(acme.challenge, AcmeChallenge::TlsAlpn01);
    assert!(acme.contact.is_empty() && acme.ca.is_none());
    let again = sidecar(&effective(&document.config));
    assert_eq!(again.config, document.config);
    // Port 80 is that of an entry beside.
    let plain = "  plain: {listen: :80, to: http://localhost:8080}\n";
    let by_request = obtaining("[a.test, b.test]", ", terms: agreed, challenge: http-01");
    sidecar(&format!("{by_request}{plain}"));
    // It may stand beside certificates that are brought.
    let both = text.replace("tls: {acme", "tls: {folder: /b, acme");
    sidecar(&both);
}

const AGREED: &str = ", terms: agreed";

#[test]
fn names_that_no_authority_would_certify_are_told_before_it_is_asked() {
    let many = format!("[{}]", vec!["a.test"; 101].join(", "));
    for (names, said) in [
        (
            "['*.a.test']",
            "`*.a.test` is a wildcard, which takes a challenge in DNS",
        ),
        (
            "[192.0.2.1]",
            "`192.0.2.1` is an address, and certificates are obtained for names",
        ),
        ("[a.test.]", "`a.test.` is not a host name in lower case"),
        ("[A.test]", "`A.test` is not a host name in lower case"),
        ("['a b']", "`a b` is not a host name in lower case"),
        ("[a.test, a.test]", "`a.test` is there twice"),
        ("[]", "a certificate bears 1 to 100 names"),
        (&many, "a certificate bears 1 to 100 names"),
    ] {
        says(&obtaining(names, AGREED), said);
    }
}

#[test]
fn what_else_would_keep_a_certificate_from_being_obtained_is_told_too() {
    for (more, said) in [
        ("", "the authority's terms of service are not agreed to"),
        (
            ", terms: agreed, contact: ['ops@a.test']",
            "`ops@a.test` is not an address that can be written to",
        ),
        (
            ", terms: agreed, contact: ['mailto:a@b?cc=c']",
            "`mailto:a@b?cc=c` is not an address that can be written to",
        ),
        (
            ", terms: agreed, directory: 'http://acme.test/dir'",
            "`http://acme.test/dir` is not a URL of `https`",
        ),
        (
            ", terms: agreed, challenge: http-01",
            "`http-01` comes without TLS, and no entry of HTTP is without `tls`",
        ),
        (", terms: agreed, banana: 1", "unknown key `banana`"),
    ] {
        says(&obtaining("[a.test]", more), said);
    }
    for (text, said) in [
        (obtaining("[a.test]", ", terms: yes"), "terms"),
        (
            obtaining("[a.test]", ", terms: agreed, challenge: dns-01"),
            "dns-01",
        ),
        (
            obtaining("[a.test]", AGREED).replace(", folder: /a", ""),
            "folder",
        ),
    ] {
        let errors = read(Section::Sidecar, &text).unwrap_err();
        assert!(errors.to_string().contains(said), "{errors}");
    }
}

/// Whether that is among what is said of the text, at the line of `tls`.
#[track_caller]
fn says(text: &str, said: &str) {
    let errors = read(Section::Sidecar, text).unwrap_err();
    let all: Vec<&str> = errors.iter().map(|error| error.message()).collect();
    assert!(all.contains(&said), "{all:?} {said}");
    assert!(errors.to_string().contains("remora.yaml:5:"), "{errors}");
}
