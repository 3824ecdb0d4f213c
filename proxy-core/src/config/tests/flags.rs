//! A configuration from flags.

use super::support::{document, entry};
use crate::config::{Document, Errors, Flags, OrOff, effective};

fn flags(listen: &[&str], to: &[&str]) -> Flags {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    Flags {
        listen: owned(listen),
        to: owned(to),
        ..Flags::default()
    }
}

#[track_caller]
fn mistakes(result: Result<Document, Errors>) -> Vec<String> {
    let Err(errors) = result else {
        panic!("it was accepted")
    };
    errors
        .iter()
        .map(|error| format!("{} | {}", error.flag().unwrap_or("-"), error.message()))
        .collect()
}

#[test]
fn pairs_of_flags_make_entries() {
    let flags = Flags {
        admin: Some("off".to_owned()),
        workers: Some("2".to_owned()),
        access_log: Some("all".to_owned()),
        dns_servers: vec!["127.0.0.1:5353".to_owned()],
        ..flags(
            &["localhost:9000", "localhost:9001"],
            &["http://a", "tcp://b:1"],
        )
    };
    let Ok(document) = flags.document() else {
        panic!("it was refused")
    };
    let names: Vec<&str> = document
        .config
        .ambassador
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(names, ["default", "default-2"]);
    assert_eq!(document.config.admin, OrOff::Off);
    assert_eq!(document.config.dns.servers.len(), 1);
    let again = super::support::config(&effective(&document.config));
    assert_eq!(again, document.config);
    let error = document.error_at(&["ambassador", "default-2", "to"], "wrong", "");
    assert_eq!(error.flag(), Some("--to tcp://b:1"));
    assert_eq!(
        error.to_string(),
        "error: wrong\n --> flag `--to tcp://b:1`"
    );
}

#[test]
fn mistakes_name_their_flags_all_at_once() {
    let flags = Flags {
        workers: Some("0".to_owned()),
        dns_servers: vec!["dns.example".to_owned()],
        ..flags(
            &["9000", "localhost:1", "localhost:2"],
            &["gopher://a", "http://b/c"],
        )
    };
    assert_eq!(
        mistakes(flags.document()),
        [
            "--workers 0 | 0 is out of range",
            "--dns-server dns.example | `dns.example` is not a name server",
            "--listen 9000 | `9000` is not an address to listen on",
            "--to gopher://a | unsupported scheme `gopher`",
            "--to http://b/c | `/c` after the host: `to` takes no path or query",
            "--listen localhost:2 | `--listen` without its `--to`",
        ]
    );
    assert_eq!(
        mistakes(self::flags(&[], &["http://a"]).document()),
        ["--to http://a | `--to` without its `--listen`"]
    );
    assert_eq!(
        mistakes(Flags::default().document()),
        ["--listen | there is nothing to serve"]
    );
}

#[test]
fn flags_change_a_file() {
    let Ok(file) = document(&entry("")) else {
        panic!("it was refused")
    };
    let Ok(both) = flags(&["localhost:1"], &["http://a"]).apply(file.clone()) else {
        panic!("it was refused")
    };
    assert_eq!(both.config.ambassador.len(), 2);
    assert_eq!(both.file(), Some("remora.yaml"));
    let clash = flags(&["localhost:9000"], &["http://a"]).apply(file);
    assert_eq!(
        mistakes(clash),
        ["--listen localhost:9000 | `localhost:9000` is taken by `users`"]
    );
}
