//! `ambassador --listen 127.0.0.1:9000 --to http://NAME:8080` works with nothing else, against a
//! real DNS server and a real nginx.

use std::path::Path;
use std::process::Stdio;

use remora_tests::ambassador::binary;
use remora_tests::lines::{Lines, says};
use remora_tests::needs;
use remora_tests::netns::Namespace;
use remora_tests::promise::{expect, promise, until};
use tokio::process::Child;

const NAME: &str = "users.default.svc.cluster.test";

#[test]
fn two_flags_are_enough() {
    let programs = [
        ("ip", "iproute2"),
        ("dnsmasq", "dnsmasq-base"),
        ("nginx", "nginx"),
        ("curl", "curl"),
    ];
    if !needs::met(&programs, true) {
        return;
    }
    promise(async {
        let directory = tempfile::tempdir().expect("a directory");
        let resolver = "search default.svc.cluster.test\nnameserver 127.0.0.1\noptions ndots:5\n";
        let inside = Namespace::new(resolver);
        let _dns = dnsmasq(&inside).await;
        let _nginx = nginx(&inside, directory.path());
        until("nginx to listen", async || {
            curl(&inside, "http://127.0.0.1:8080/").await
        })
        .await;

        // The fully qualified name, then the name that only the search list makes whole.
        for name in [NAME, "users"] {
            let to = format!("http://{name}:8080");
            let mut command = inside.command(binary().to_str().expect("a path in UTF-8"));
            command.args(["--listen", "127.0.0.1:9000", "--to", &to]);
            let (mut ambassador, log) = follow(command);
            log.find("line `ready`", |line| says(line, "ready")).await;
            let answer = curl(&inside, "http://127.0.0.1:9000/who").await;
            assert_eq!(answer.as_deref(), Some("nginx answers /who\n"));
            expect("the end of the ambassador", ambassador.kill())
                .await
                .expect("killed");
        }
    });
}

async fn dnsmasq(inside: &Namespace) -> Child {
    let mut command = inside.command("dnsmasq");
    command.args([
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
    ]);
    command.args([
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--port=53",
    ]);
    command.args([
        "--user=root",
        "--pid-file=",
        "--local=/test/",
        "--log-facility=-",
    ]);
    command.arg(format!("--host-record={NAME},127.0.0.1"));
    let (child, log) = follow(command);
    log.find("start of dnsmasq", |line| {
        line.as_str().is_some_and(|text| text.contains("started"))
    })
    .await;
    child
}

fn nginx(inside: &Namespace, directory: &Path) -> Child {
    let path = directory.display();
    let configuration = format!(
        "daemon off; master_process off; pid {path}/pid; events {{}} http {{ access_log off;
         client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
         uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
         server {{ listen 127.0.0.1:8080; location / {{ return 200 \"nginx answers $uri\\n\"; }} }} }}"
    );
    std::fs::write(directory.join("nginx.conf"), configuration).expect("a file");
    let mut command = inside.command("nginx");
    command
        .args(["-e", "stderr", "-c"])
        .arg(directory.join("nginx.conf"));
    follow(command).0
}

fn follow(mut command: tokio::process::Command) -> (Child, Lines) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let log = Lines::collect("a log", child.stderr.take().expect("stderr"));
    (child, log)
}

async fn curl(inside: &Namespace, url: &str) -> Option<String> {
    let mut command = inside.command("curl");
    command
        .args(["--silent", "--fail", "--max-time", "10", url])
        .stdin(Stdio::null());
    let output = expect("curl", command.output()).await.expect("curl runs");
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
