//! A sidecar stops accepting once its delay is over, can be drained by its own binary, and ends with its workload.

use std::path::PathBuf;
use std::sync::Arc;

use remora_tests::client::{Connection, Protocol, get, once};
use remora_tests::config::Config;
use remora_tests::lines::says;
use remora_tests::origin::{Origin, hang, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, run, run_in};
use rustix::process::Signal;
use tokio::sync::Semaphore;

async fn line(sidecar: &Proxy, text: &str) {
    sidecar.log.find(text, |line| says(line, text)).await;
}

#[test]
fn during_the_delay_it_is_not_ready_and_still_accepts() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()))
            .with("drain: {delay: 60s}");
        let sidecar = Proxy::start(&config).await;
        sidecar.signal(Signal::TERM);
        until("readiness to go", async || {
            (sidecar.ask("GET", "/readyz").await.status == 503).then_some(())
        })
        .await;
        let reply = once(sidecar.address(), get("/"))
            .await
            .expect("it still accepts");
        assert_eq!(reply.status, 200);
    });
}

/// An ambassador would go on for a minute here: its workload goes on calling.
#[test]
fn it_does_not_wait_until_callers_have_been_quiet() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()))
            .with("drain: {delay: 0s, timeout: 120s}");
        let mut sidecar = Proxy::start(&config).await;
        let address = sidecar.address();
        let calls = tokio::spawn(async move { while once(address, get("/")).await.is_ok() {} });
        origin.received(1).await;
        sidecar.signal(Signal::TERM);
        calls.await.expect("callers are turned away");
        assert_eq!(sidecar.exit().await.code(), Some(0));
    });
}

#[test]
fn its_own_binary_drains_it_and_waits_for_what_is_in_flight() {
    promise(async {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let origin = Origin::start(move |_| {
            let held = Arc::clone(&held);
            async move {
                let _open = held.acquire().await;
                ok("late")
            }
        });
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()))
            .with("drain: {delay: 0s, timeout: 60s}");
        let mut sidecar = Proxy::start(&config).await;
        let mut connection = Connection::open(sidecar.address(), Protocol::Http1)
            .await
            .expect("open");
        let flight = tokio::spawn(async move { connection.fetch(get("/")).await });
        origin.received(1).await;
        let admin = sidecar.admin().await.to_string();
        let impatient = run(SIDECAR, &["drain", "--admin", &admin, "--timeout", "50ms"]).await;
        assert_eq!(impatient.status.code(), Some(1), "it is still draining");
        line(&sidecar, "draining").await;
        gate.add_permits(1);
        let reply = flight.await.expect("a task").expect("an answer");
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (200, "late")
        );
        assert_eq!(sidecar.exit().await.code(), Some(0));
    });
}

#[test]
fn draining_by_the_file_returns_when_it_has_ended() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()))
            .with("drain: {delay: 0s}");
        let mut sidecar = Proxy::start(&config).await;
        let directory = tempfile::tempdir().expect("a directory");
        let admin = sidecar.admin().await;
        let text = config.clone().with(&format!("admin: {admin}")).text();
        std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
        let drained = run_in(SIDECAR, directory.path(), &["drain", "-c", "remora.yaml"]).await;
        let said = String::from_utf8_lossy(&drained.stderr).into_owned();
        assert_eq!(drained.status.code(), Some(0), "{said}");
        assert_eq!(sidecar.exit().await.code(), Some(0));
        // Nobody is left to be asked.
        let drained = run_in(SIDECAR, directory.path(), &["drain", "-c", "remora.yaml"]).await;
        let said = String::from_utf8_lossy(&drained.stderr).into_owned();
        assert_eq!(drained.status.code(), Some(1), "{said}");
        assert!(said.contains(&admin.to_string()), "{said}");
        let text = config.with("admin: off").text();
        std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
        let drained = run_in(SIDECAR, directory.path(), &["drain", "-c", "remora.yaml"]).await;
        assert_eq!(drained.status.code(), Some(2));
    });
}

#[test]
fn it_ends_when_nobody_listens_on_the_port_of_its_workload() {
    promise(async {
        let mut origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()));
        let flags = ["--exit-with", "tcp", "--exit-after", "100ms"];
        let mut sidecar = Proxy::launch_with(&config, &flags).await;
        line(&sidecar, "the workload runs").await;
        let reply = once(sidecar.address(), get("/")).await.expect("an answer");
        assert_eq!(reply.status, 200);
        origin.kill().await;
        assert_eq!(sidecar.exit().await.code(), Some(0));
        line(&sidecar, "the workload has ended").await;
    });
}

/// What is in flight is finished, or cut off as the drain says: here it never ends.
#[test]
fn it_ends_when_no_process_has_the_name_of_its_workload() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let directory = tempfile::tempdir().expect("a directory");
        let name = format!("job-{}", std::process::id());
        let program = directory.path().join(&name);
        std::os::unix::fs::symlink(sleep(), &program).expect("a link");
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()))
            .with("drain: {timeout: 100ms}");
        let flag = format!("process:{name}");
        let flags = ["--exit-with", &flag, "--exit-after", "100ms"];
        let mut sidecar = Proxy::launch_with(&config, &flags).await;
        let mut workload = tokio::process::Command::new(program);
        let mut workload = workload
            .arg("1000")
            .kill_on_drop(true)
            .spawn()
            .expect("sleep runs");
        line(&sidecar, "the workload runs").await;
        let address = sidecar.address();
        let flight = tokio::spawn(async move { once(address, get("/")).await });
        origin.received(1).await;
        workload.kill().await.expect("killed");
        assert_eq!(sidecar.exit().await.code(), Some(1));
        assert!(flight.await.expect("a task").is_err());
    });
}

/// Where `sleep` is.
fn sleep() -> PathBuf {
    let found = ["/usr/bin/sleep", "/bin/sleep"].map(PathBuf::from);
    let found = found.into_iter().find(|path| path.exists());
    found.expect("sleep is installed")
}
