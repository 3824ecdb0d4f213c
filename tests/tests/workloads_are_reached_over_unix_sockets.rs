//! `to: unix:/run/app.sock` reaches a workload that listens on a socket's path: HTTP of either version, bytes, checks and faults.

use std::path::{Path, PathBuf};

use http::{HeaderValue, Request, StatusCode, Version};
use remora_tests::client::{Body, full, get, once, post};
use remora_tests::config::Config;
use remora_tests::events::Events;
use remora_tests::local::{Local, crowded};
use remora_tests::origin::{echo, ok, status};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, run};
use remora_tests::wire::{Ending, Wire};
use serde_json::Value;
use tempfile::TempDir;

/// A folder for a socket, and its path.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    (folder, path)
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn asking(mut request: Request<Body>) -> Request<Body> {
    let one = HeaderValue::from_static("1");
    request.headers_mut().insert("x-remora-explain", one);
    request
}

#[test]
fn either_version_of_http_with_the_callers_authority() {
    promise(async {
        let (_folder, path) = place();
        let workload = Local::http(&path, |request| async { echo(request) });
        for (to, more, version, authority) in [
            (unix(&path), "", Version::HTTP_11, "users.test"),
            (unix(&path), "host: upstream", Version::HTTP_11, "localhost"),
            (
                format!("h2c://{}", unix(&path)),
                "",
                Version::HTTP_2,
                "users.test",
            ),
        ] {
            let config = Config::of_sidecar(&format!("to: {to}\n{more}")).with("workers: 1");
            let sidecar = Proxy::start(&config).await;
            let before = workload.heard(0).await.len();
            for number in 1..=3 {
                let body = "x".repeat(300_000);
                let reply = once(sidecar.address(), post("/a", body.clone())).await;
                let reply = reply.expect("an answer");
                assert_eq!((reply.status, reply.text()), (StatusCode::OK, body));
                let heard = &workload.heard(before + number).await[before + number - 1];
                assert_eq!(heard.version, version, "{to}");
                assert_eq!(heard.authority, authority, "{to} {more}");
                assert_eq!(heard.path, "/a");
                assert_eq!(heard.headers["x-forwarded-for"], "127.0.0.1");
            }
            let metrics = sidecar.metrics().await;
            let made = [("result", "ok")];
            let made = metrics.sum("remora_upstream_connects_total", &made);
            assert_eq!(made, 1.0, "its connection is kept: {to}");
        }
    });
}

#[test]
fn bytes_both_ways_and_either_end_first() {
    promise(async {
        let (_folder, path) = place();
        let _workload = Local::echo(&path);
        let to = format!("to: tcp://{}\nhealth: {{every: 20ms}}", unix(&path));
        let sidecar = Proxy::start(&Config::of_sidecar(&to)).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send("hello\n").await.expect("sent");
        assert_eq!(wire.through("\n").await.expect("a line"), "hello\n");
        wire.finish().await.expect("finished");
        assert_eq!(wire.rest().await, (Vec::new(), Ending::Closed));
        let line = sidecar
            .access
            .find("its line", |line| line["protocol"] == "TCP")
            .await;
        assert_eq!(line["endpoint"], unix(&path));
    });
}

#[test]
fn an_upgraded_connection_is_a_tunnel() {
    promise(async {
        let (_folder, path) = place();
        let _workload = Local::http(&path, |mut request| async move {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let io = hyper_util::rt::TokioIo::new(upgraded.await.expect("an upgrade"));
                let (mut reader, mut writer) = tokio::io::split(io);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
            let mut response = status(101);
            *response.body_mut() = full("");
            let headers = response.headers_mut();
            headers.insert("connection", HeaderValue::from_static("upgrade"));
            headers.insert("upgrade", HeaderValue::from_static("echo"));
            response
        });
        let sidecar = Proxy::start(&Config::of_sidecar(&format!("to: {}", unix(&path)))).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        wire.send(request).await.expect("sent");
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        wire.send("hello\n").await.expect("sent");
        assert_eq!(wire.through("\n").await.expect("a line"), "hello\n");
    });
}

#[test]
fn a_missing_socket_is_named_wherever_endpoints_are() {
    promise(async {
        let (_folder, path) = place();
        let named = unix(&path);
        let sidecar = Proxy::start(&Config::of_sidecar(&format!("to: {named}"))).await;
        let reply = once(sidecar.address(), asking(get("/lost"))).await;
        let reply = reply.expect("an answer");
        let said = (reply.status.as_u16(), reply.proxy_error());
        assert_eq!(said, (502, "connection_refused"));
        let detail = format!("there is no socket {named}");
        let status = reply.header("proxy-status");
        assert!(status.contains(&detail), "{status}");
        let told = reply.header("x-remora-explain");
        let told: Value = serde_json::from_str(told).expect("an explanation");
        assert_eq!(told["tries"][0]["endpoint"], *named);
        let line = sidecar.logged("/lost").await;
        assert_eq!(line["endpoint"], *named);
        assert!(
            line["detail"]
                .as_str()
                .is_some_and(|own| own.contains(&detail)),
            "{line}"
        );
        let mut page = Events::open(sidecar.admin().await, "/live")
            .await
            .expect("a stream");
        let shown = page.next().await.expect("a snapshot");
        let entry = &shown["entries"][0];
        assert_eq!(entry["leads_to"][0], *named, "{shown}");
        assert_eq!(entry["endpoints"][0]["address"], *named, "{shown}");
        assert_eq!(entry["failures"][0]["endpoint"], *named, "{shown}");
        // It is looked for anew with each request.
        let workload = Local::http(&path, |_| async { ok("here") });
        let reply = once(sidecar.address(), get("/")).await.expect("an answer");
        assert_eq!(reply.text(), "here");
        // Its file stays when it is gone, as after a crash.
        drop(workload);
        until("a refusal", async || {
            let reply = once(sidecar.address(), get("/")).await.expect("an answer");
            let refused = format!("{named} refused the connection");
            reply
                .header("proxy-status")
                .contains(&refused)
                .then_some(())
        })
        .await;
    });
}

#[test]
fn a_full_queue_is_waited_for_and_no_longer_than_a_connection_may_take() {
    promise(async {
        let (_folder, path) = place();
        let listener = crowded(&path);
        let config = |time| {
            Config::of_sidecar(&format!(
                "to: {}\ntimeout: {{connect: {time}}}\nretry: off",
                unix(&path)
            ))
        };
        let (patient, hasty) = (config("60s"), config("50ms"));
        let (patient, hasty) = (Proxy::start(&patient).await, Proxy::start(&hasty).await);
        // The kernel lets in one more than it is asked to.
        let first = tokio::net::UnixStream::connect(&path)
            .await
            .expect("a place");
        until("a full queue", async || {
            let reply = once(hasty.address(), get("/")).await.expect("an answer");
            let said = (reply.status.as_u16(), reply.proxy_error().to_owned());
            (said == (504, "connection_timeout".to_owned())).then_some(())
        })
        .await;
        let address = patient.address();
        let waiting = tokio::spawn(async move { once(address, get("/")).await });
        drop(first);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let answer = hyper::service::service_fn(|_| async {
                        Ok::<_, std::convert::Infallible>(ok("at last"))
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(io, answer).await;
                });
            }
        });
        let reply = waiting.await.expect("a task").expect("an answer");
        assert_eq!(reply.text(), "at last");
        serving.abort();
    });
}

#[test]
fn readiness_follows_checks_over_it() {
    promise(async {
        let (_folder, path) = place();
        for to in [unix(&path), format!("h2c://{}", unix(&path))] {
            let config = Config::of_sidecar(&format!(
                "to: {to}\nhealth: {{path: /healthz, every: 20ms}}"
            ));
            let sidecar = Proxy::launch(&config).await;
            let ready = async |wanted: u16, words: &str| {
                until(&format!("readiness {wanted}"), async || {
                    let reply = sidecar.ask("GET", "/readyz").await;
                    (reply.status.as_u16() == wanted && reply.text().contains(words)).then_some(())
                })
                .await;
            };
            ready(503, "there is no socket").await;
            let ill = Local::http(&path, |_| async { status(500) });
            ready(503, "status 500").await;
            drop(ill);
            std::fs::remove_file(&path).expect("a socket");
            let well = Local::http(&path, |_| async { ok("fine") });
            ready(200, "ready").await;
            assert_eq!(well.heard(1).await[0].authority, "localhost");
            drop(well);
            std::fs::remove_file(&path).expect("a socket");
        }
    });
}

#[test]
fn flags_name_it_and_an_ambassador_takes_it_too() {
    promise(async {
        let (_folder, path) = place();
        let _workload = Local::http(&path, |_| async { ok("fine") });
        let to = unix(&path);
        let flags = ["--listen", "127.0.0.1:0", "--to", &to];
        for role in [SIDECAR, "ambassador"] {
            let proxy = Proxy::of_flags(role, &flags).await;
            let reply = once(proxy.address(), get("/")).await.expect("an answer");
            assert_eq!(reply.text(), "fine", "{role}");
            let asked = [&["explain", "GET http://127.0.0.1:0/"], &flags[..]].concat();
            let told = run(role, &asked).await;
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            assert!(told.contains(&format!("endpoint: {to}")), "{told}");
        }
    });
}

#[test]
fn what_cannot_be_told_of_a_socket_is_a_mistake() {
    promise(async {
        let flags = ["--listen", "127.0.0.1:0", "--to", "unix:/run/app.sock"];
        for (more, words) in [
            (&["--exit-with", "tcp"][..], "process:NAME"),
            (
                &["--to", "https://unix:/run/app.sock"],
                "http://unix:/run/app.sock",
            ),
            (&["--to", "unix//run/app.sock"], "unix:/run/app.sock"),
        ] {
            let mut all = flags.to_vec();
            if more[0] == "--to" {
                all.truncate(2);
            }
            all.extend(more);
            let output = run(SIDECAR, &all).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{more:?}: {said}");
            assert!(said.contains(words), "{more:?}: {said}");
        }
    });
}
