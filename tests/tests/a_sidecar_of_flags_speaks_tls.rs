//! `sidecar --listen :8443 --to http://localhost:8080 --cert c.pem --key k.pem` speaks TLS, and needs nothing else.

use std::path::Path;

use remora_tests::callers::Caller;
use remora_tests::certificates::{Authority, Validity};
use remora_tests::client::get;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, run};

const HOST: &str = "web.test";

/// What is told of a command line.
async fn said(role: &str, arguments: &[&str], code: i32) -> String {
    let output = run(role, arguments).await;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn callers_are_spoken_to_in_tls() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = tempfile::tempdir().expect("a folder");
        let issued = authority.issue(&[HOST], Validity::Now);
        let (cert, key) = issued.write(folder.path(), "web");
        let origin = Origin::start(|_| async { ok("fine") });
        let to = format!("http://localhost:{}", origin.address().port());
        let flags = [
            "--listen",
            "127.0.0.1:0",
            "--to",
            &to,
            "--cert",
            shown(&cert),
            "--key",
            shown(&key),
        ];
        let sidecar = Proxy::of_flags(SIDECAR, &flags).await;
        let caller = Caller::trusting(&authority, HOST);
        for alpn in ["h2", "http/1.1"] {
            let caller = caller.clone().offering(&[alpn]);
            let reply = caller.fetch(sidecar.address(), get("/")).await;
            assert_eq!(reply.expect("an answer").text(), "fine", "{alpn}");
        }
        for request in origin.received(2).await {
            assert_eq!(request.headers["x-forwarded-proto"], "https");
            assert_eq!(request.headers["host"], HOST);
        }
        // They are followed as those of a file are.
        let shown = async || {
            let stream = caller.connect(sidecar.address()).await.expect("TLS");
            let shown = stream.get_ref().1.peer_certificates();
            shown.expect("a certificate")[0].to_vec()
        };
        let before = shown().await;
        let renewed = authority.issue(&[HOST], Validity::Now);
        renewed.write(folder.path(), "web");
        until("another certificate", async || {
            (shown().await != before).then_some(())
        })
        .await;
    });
}

#[test]
fn flags_are_the_beginning_of_a_file() {
    promise(async {
        let authority = Authority::new("the test's");
        let folder = tempfile::tempdir().expect("a folder");
        let issued = authority.issue(&[HOST], Validity::Now);
        let (cert, key) = issued.write(folder.path(), "web");
        let pair = ["--listen", ":8443", "--to", "http://localhost:8080"];
        let tls = ["--cert", shown(&cert), "--key", shown(&key)];
        let all = [&["check", "--effective"][..], &pair, &tls].concat();
        let text = said(SIDECAR, &all, 0).await;
        for path in [&cert, &key] {
            assert!(text.contains(shown(path)), "{text}");
        }
        let explained = ["explain", "GET http://localhost:8443/"];
        let told = said(SIDECAR, &[&explained[..], &pair, &tls].concat(), 0).await;
        assert!(told.contains("entry: default"), "{told}");
    });
}

#[test]
fn half_a_pair_or_a_wrong_one_is_explained() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        let issued = Authority::new("the test's").issue(&[HOST], Validity::Now);
        let other = Authority::new("another's").issue(&[HOST], Validity::Now);
        let (cert, key) = issued.write(folder.path(), "web");
        let (_, foreign) = other.write(folder.path(), "other");
        let nowhere = folder.path().join("nowhere.pem");
        let pair = ["--listen", "127.0.0.1:0", "--to", "http://localhost:8080"];
        for (tls, words) in [
            (
                &["--cert", shown(&cert)][..],
                &["`--cert` without its `--key`", "add `--key FILE`"][..],
            ),
            (
                &["--key", shown(&key)],
                &["`--key` without its `--cert`", "add `--cert FILE`"],
            ),
            (
                &["--cert", shown(&nowhere), "--key", shown(&key)],
                &["flag `--cert ", "nowhere.pem"],
            ),
            (
                &["--cert", shown(&cert), "--key", shown(&foreign)],
                &["flag `--key ", "other.key"],
            ),
        ] {
            for command in [&[][..], &["run"], &["check"]] {
                let text = said(SIDECAR, &[command, &pair, tls].concat(), 2).await;
                for word in words {
                    assert!(text.contains(word), "{tls:?}: {text}");
                }
            }
        }
        let alone = ["check", "--cert", shown(&cert), "--key", shown(&key)];
        let text = said(SIDECAR, &alone, 2).await;
        assert!(text.contains("there is nothing to serve"), "{text}");
    });
}

#[test]
fn they_are_taught_where_they_mean_something_and_refused_elsewhere() {
    promise(async {
        for arguments in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
            let text = said(SIDECAR, arguments, 0).await;
            for flag in ["--cert <FILE>", "--key <FILE>"] {
                assert!(text.contains(flag), "{arguments:?}: {text}");
            }
            let wide: Vec<&str> = text.lines().filter(|l| l.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{arguments:?}: {wide:#?}");
        }
        let text = said(SIDECAR, &["--help"], 0).await;
        assert!(text.contains("--cert tls.crt --key tls.key"), "{text}");
        for own in [
            "Serve until SIGTERM",
            "Check the configuration",
            "Tell what a request",
        ] {
            assert!(text.contains(own), "{own}: {text}");
        }
        let text = said("ambassador", &["--help"], 0).await;
        assert!(!text.contains("--cert"), "{text}");
        let flags = [
            "check",
            "--listen",
            "localhost:0",
            "--to",
            "http://a",
            "--cert",
            "a",
        ];
        let text = said("ambassador", &flags, 2).await;
        assert!(text.contains("--cert"), "{text}");
    });
}
