//! Processes that are passed one listening socket follow each other without a refused, reset or failed connection, and
//! tell their service manager how they are.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use http::{HeaderValue, Request};
use remora_tests::client::{Body, get, once};
use remora_tests::config::Config;
use remora_tests::lines::says;
use remora_tests::load::Load;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{expect, promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, passing};
use remora_tests::scripted::{ephemeral, listen};
use remora_tests::wire::Wire;
use rustix::process::Signal;

/// A socket that outlives the processes, as systemd's do.
fn socket() -> TcpListener {
    let socket = listen(ephemeral());
    socket.into_std().expect("a socket")
}

fn serving(socket: &TcpListener, origin: &Origin) -> Config {
    let address = socket.local_addr().expect("a bound socket");
    let settings = format!("listen: {address}\nto: http://{}", origin.address());
    Config::of_sidecar(&settings).with("drain: {delay: 200ms}")
}

/// A request that is the only one of its connection.
fn alone(number: usize) -> Request<Body> {
    let mut request = get(&format!("/alone/{number}"));
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert("connection", close);
    request
}

#[test]
fn twenty_processes_follow_each_other_under_load_and_nothing_fails() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let socket = socket();
        let config = serving(&socket, &origin);
        let mut running = Proxy::with_socket(&config, &socket).await;
        let address = running.address();
        let fresh = Load::start(address, 100, alone);
        let kept = Load::start(address, 200, |number| get(&format!("/kept/{number}")));
        for _ in 0..20 {
            let entry = [("entry", "web"), ("code", "200")];
            let served = |count: f64| count > 0.0;
            running
                .metric("remora_requests_total", &entry, served)
                .await;
            let next = Proxy::with_socket(&config, &socket).await;
            running.signal(Signal::TERM);
            assert!(running.exit().await.success());
            running = next;
            fresh.done_more(5).await;
            kept.done_more(10).await;
        }
        kept.stop().await.assert_none_failed();
        fresh.stop().await.assert_none_failed();
    });
}

#[test]
fn who_connects_while_nobody_is_there_waits() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let socket = socket();
        let config = serving(&socket, &origin);
        let mut first = Proxy::with_socket(&config, &socket).await;
        let address = first.address();
        first.signal(Signal::INT);
        assert!(first.exit().await.success());
        let mut wire = Wire::connect(address).await;
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let _second = Proxy::with_socket(&config, &socket).await;
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    });
}

#[test]
fn a_socket_is_kept_for_a_reload_that_wants_it_again() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let socket = socket();
        let config = serving(&socket, &origin);
        let sidecar = Proxy::with_socket(&config, &socket).await;
        let address = sidecar.address();
        once(address, get("/")).await.expect("an answer");
        let elsewhere = config.text().replace(&address.to_string(), "127.0.0.1:0");
        for text in [elsewhere, config.text()] {
            sidecar.rewrite(&text);
            let served = format!(
                "listen: {}",
                if text == config.text() {
                    address
                } else {
                    ephemeral()
                }
            );
            until("the reload", async || {
                let now = sidecar.ask("GET", "/config").await.text();
                now.contains(&served).then_some(())
            })
            .await;
        }
        once(address, get("/")).await.expect("an answer again");
    });
}

#[test]
fn a_socket_that_nobody_wants_is_told_and_what_is_none_is_refused() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let unwanted = socket();
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()));
        let sidecar = Proxy::with_socket(&config, &unwanted).await;
        let address = unwanted.local_addr().expect("a bound socket").to_string();
        let told = "a socket was passed that no entry listens on";
        let is_told = |line: &serde_json::Value| says(line, told) && line["address"] == address;
        sidecar.log.find("the warning", is_told).await;

        let file = std::fs::File::open("/dev/null").expect("a file");
        let (mut command, stdin) = passing(SIDECAR, file);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--to",
            "http://127.0.0.1:1",
            "--admin",
            "off",
        ]);
        command
            .stdin(stdin)
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let output = expect("its end", command.output())
            .await
            .expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("pass listening TCP sockets alone"), "{said}");
    });
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_and_when_it_ends() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        manager
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        let heard = move || {
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).expect("a message");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()));
        let path = path.to_str().expect("a path in UTF-8").to_owned();
        let mut sidecar = Proxy::with_env(&config, &[("NOTIFY_SOCKET", path)]).await;
        let heard = tokio::task::spawn_blocking(move || (heard(), heard));
        let (first, heard) = heard.await.expect("heard");
        assert_eq!(first, "READY=1");
        sidecar.signal(Signal::INT);
        assert!(sidecar.exit().await.success());
        assert_eq!(heard(), "STOPPING=1");
    });
}
