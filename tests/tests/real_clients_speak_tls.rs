//! Clients as people have them get through a sidecar's TLS: curl, nghttp, OpenSSL, tonic and Chromium, with both
//! versions of HTTP and of TLS, with certificates of their own, and with sessions that go on.

use std::path::Path;
use std::process::{Output, Stdio};

use http::Response;
use remora_tests::browser::{CHROMIUM, Page};
use remora_tests::certificates::{Authority, Validity};
use remora_tests::client::full;
use remora_tests::grpc::{Note, NotesClient, NotesServer};
use remora_tests::needs;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{expect, promise};
use remora_tests::proxy::Proxy;
use remora_tests::tls::{Caller, GET, NAME, issued, settings};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const CURL: (&str, &str) = ("curl", "curl");
const NGHTTP: (&str, &str) = ("nghttp", "nghttp2-client");
const OPENSSL: (&str, &str) = ("openssl", "openssl");

/// Runs a program in a folder with this input.
async fn run(folder: &Path, program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("its input");
    // It may have ended already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let ended = expect(program, child.wait_with_output()).await;
    ended.expect("it ends")
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// A sidecar, its workload, the authority of all, and a folder: `ca.pem` is the authority, `web.pem` the sidecar's
/// certificate, `ann.pem` a caller's and `old.pem` one that has expired.
async fn serving(more: &str) -> (Authority, tempfile::TempDir, Origin, Proxy) {
    let (authority, folder) = issued();
    let path = folder.path();
    let [now, old] = [Validity::Now, Validity::Expired];
    authority.issue(&["ann"], now).write(path, "ann");
    authority.issue(&["ann"], old).write(path, "old");
    let origin = Origin::start(|_| async { ok("fine") });
    let url = format!("http://{}", origin.address());
    let more = more.replace("FOLDER", &path.display().to_string());
    let sidecar = Proxy::start(&settings(&url, path, &more)).await;
    (authority, folder, origin, sidecar)
}

const CLIENT_CA: &str = ", client-ca: FOLDER/clients.pem";

#[test]
fn curl() {
    if !needs::met(&[CURL], false) {
        return;
    }
    promise(async {
        for more in ["", CLIENT_CA] {
            let (_authority, folder, origin, sidecar) = serving(more).await;
            let port = sidecar.address().port();
            let (url, resolve) = (
                format!("https://{NAME}:{port}/"),
                format!("{NAME}:{port}:127.0.0.1"),
            );
            let told = "%{http_version} %{response_code} %{ssl_verify_result}";
            let common = [
                "-sS",
                "--cacert",
                "clients.pem",
                "--resolve",
                &resolve,
                "-w",
                told,
            ];
            let call = async |flags: &[&str]| {
                let arguments = [&common[..], flags, &[&url]].concat();
                run(folder.path(), "curl", &arguments, "").await
            };
            let ann: &[&str] = match more {
                "" => &[],
                _ => &["--cert", "ann.pem", "--key", "ann.key"],
            };
            let mut calls = 0;
            for (version, shown) in [("--http1.1", "1.1"), ("--http2", "2")] {
                for tls in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
                    let output = call(&[&[version][..], tls, ann].concat()).await;
                    assert_eq!(text(&output), format!("fine{shown} 200 0"));
                    calls += 1;
                }
            }
            assert_eq!(origin.count(), calls);
            if more.is_empty() {
                continue;
            }
            // What curl says of an alert is OpenSSL's name for it.
            for (flags, alert) in [
                (&[][..], "certificate required"),
                (
                    &["--cert", "old.pem", "--key", "old.key"],
                    "certificate expired",
                ),
            ] {
                let output = call(flags).await;
                assert!(!output.status.success());
                assert!(text(&output).contains(alert), "{}", text(&output));
            }
            assert_eq!(origin.count(), calls);
        }
    });
}

#[test]
fn curl_without_tls_is_told_what_is_wrong() {
    if !needs::met(&[CURL], false) {
        return;
    }
    promise(async {
        let (_authority, folder, _origin, sidecar) = serving("").await;
        let url = format!("http://{}/", sidecar.address());
        let arguments = ["-sS", "-w", "%{response_code}", &url];
        let output = run(folder.path(), "curl", &arguments, "").await;
        let text = text(&output);
        assert!(
            text.contains("use https") && text.ends_with("400"),
            "{text}"
        );
    });
}

#[test]
fn nghttp() {
    if !needs::met(&[NGHTTP], false) {
        return;
    }
    promise(async {
        let (_authority, folder, origin, sidecar) = serving(CLIENT_CA).await;
        let url = format!("https://localhost:{}/", sidecar.address().port());
        let arguments = ["-v", "-y", "--cert", "ann.pem", "--key", "ann.key", &url];
        let output = run(folder.path(), "nghttp", &arguments, "").await;
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        for part in [
            "negotiated protocol: h2",
            ":status: 200",
            "fine",
            "END_STREAM",
        ] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        assert_eq!(origin.received(1).await[0].version, http::Version::HTTP_11);
    });
}

#[test]
fn openssl() {
    if !needs::met(&[OPENSSL], false) {
        return;
    }
    promise(async {
        let (_authority, folder, _origin, sidecar) = serving(CLIENT_CA).await;
        let address = sidecar.address().to_string();
        let common = ["s_client", "-connect", &address, "-servername", NAME];
        let trust = ["-CAfile", "clients.pem", "-verify_return_error", "-ign_eof"];
        let ann = ["-cert", "ann.pem", "-key", "ann.key"];
        let call = async |flags: &[&str]| {
            let arguments = [&common[..], &trust, &ann, flags].concat();
            text(&run(folder.path(), "openssl", &arguments, GET).await)
        };
        for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            let first = call(&[version, "-sess_out", "session.pem"]).await;
            assert!(first.contains(&format!("New, {name}, ")), "{first}");
            assert!(first.contains("Verify return code: 0 (ok)"), "{first}");
            assert!(first.contains("HTTP/1.1 200 OK"), "{first}");
            let second = call(&[version, "-sess_in", "session.pem"]).await;
            assert!(second.contains(&format!("Reused, {name}, ")), "{second}");
            assert!(second.contains("HTTP/1.1 200 OK"), "{second}");
            for (offered, agreed) in [
                ("h2,http/1.1", "h2"),
                ("http/1.1", "http/1.1"),
                ("ftp,http/1.1", "http/1.1"),
            ] {
                let said = call(&[version, "-alpn", offered]).await;
                let expected = format!("ALPN protocol: {agreed}");
                assert!(said.contains(&expected), "{offered}: {said}");
            }
            // RFC 7301, 3.2: who offers only what is not spoken is refused.
            let said = call(&[version, "-alpn", "ftp"]).await;
            assert!(said.contains("no application protocol"), "{said}");
        }
        for version in ["-tls1", "-tls1_1"] {
            // OpenSSL itself speaks these only at its lowest level of security.
            let said = call(&[version, "-cipher", "DEFAULT@SECLEVEL=0"]).await;
            assert!(said.contains("alert protocol version"), "{said}");
        }
    });
}

#[test]
fn tonic() {
    promise(async {
        let (authority, folder) = issued();
        let server = NotesServer::start();
        let url = format!("h2c://{}", server.address());
        let more = CLIENT_CA.replace("FOLDER", &folder.path().display().to_string());
        let sidecar = Proxy::start(&settings(&url, folder.path(), &more)).await;
        let ann = authority.issue(&["ann"], Validity::Now);
        let caller = Caller {
            own: Some(&ann),
            alpn: &["h2"],
            ..Caller::trusting(&authority)
        };
        for caller in caller.each_version() {
            let connected = NotesClient::connect_secured(sidecar.address(), caller.config()).await;
            let mut client = connected.expect("connected");
            let asked = tonic::Request::new(Note::new("a", 1));
            let reply = client.unary(asked).await.expect("OK");
            assert_eq!(reply.into_inner(), Note::new("a", 1));
            let asked = tonic::Request::new(Note::new("fail", 1));
            let status = client.unary(asked).await.expect_err("fails");
            assert_eq!(status.code(), tonic::Code::FailedPrecondition);
            let notes = tokio_stream::iter((1..=100).map(|number| Note::new("", number)));
            let sum = client.client(notes).await.expect("OK").into_inner();
            assert_eq!(sum.number, 5050);
            let notes = tokio_stream::iter((1..=100).map(|number| Note::new("b", number)));
            let mut stream = client.both(notes).await.expect("OK").into_inner();
            let mut last = 0;
            while let Some(note) = expect("a note", stream.message()).await.expect("OK") {
                last = note.number;
            }
            assert_eq!(last, 100);
        }
    });
}

#[test]
fn chromium() {
    if !needs::met(&[CHROMIUM], false) {
        return;
    }
    promise(async {
        let (_authority, folder) = issued();
        let origin = Origin::start(|request| async move {
            let page = match request.uri().path() {
                "/" => {
                    "<!doctype html><title>a page</title><script src=/script.js></script><p>fine"
                }
                "/script.js" => {
                    "fetch('/data').then(got => got.text()).then(text => window.got = text)"
                }
                _ => "loaded",
            };
            let kind = match request.uri().path() {
                "/script.js" => "text/javascript",
                _ => "text/html",
            };
            let response = Response::builder().header("content-type", kind);
            response.body(full(page)).expect("a response")
        });
        let url = format!("http://{}", origin.address());
        let sidecar = Proxy::start(&settings(&url, folder.path(), "")).await;
        // The browser has authorities of its own, and the test's is none of them.
        let rule = format!("--host-resolver-rules=MAP {NAME} 127.0.0.1");
        let mut page = Page::start_with(&["--ignore-certificate-errors", &rule]).await;
        let port = sidecar.address().port();
        page.open(&format!("https://{NAME}:{port}/")).await;
        page.holds("window.got === 'loaded'").await;
        assert_eq!(page.value("document.title").await, "a page");
        // How often is left open: the browser may look for an icon too.
        let spoken = "[...new Set(performance.getEntries().map(entry => entry.nextHopProtocol))]\
                      .filter(Boolean).join()";
        assert_eq!(page.value(spoken).await, "h2");
        for request in origin.received(3).await {
            assert_eq!(request.headers["x-forwarded-proto"], "https");
            let host = format!("{NAME}:{port}");
            assert_eq!(request.headers["x-forwarded-host"], *host);
        }
        let complaints = page.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    });
}
