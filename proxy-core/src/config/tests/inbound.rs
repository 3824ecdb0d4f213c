//! The section of the inbound role: its own keys and defaults, and whose mistakes count.

use crate::config::{
    Document, Errors, Flags, ForwardedField, HostPolicy, Inbound, OrOff, RetryOn, Section,
    effective,
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
