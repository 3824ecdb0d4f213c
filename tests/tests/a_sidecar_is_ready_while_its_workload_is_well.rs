//! Where an entry of the sidecar has `health`, the sidecar is ready only while its workload passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remora_tests::client::{Reply, get, once};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;

async fn readiness(sidecar: &Proxy, wanted: u16) -> Reply {
    until("readiness", async || {
        let reply = sidecar.ask("GET", "/readyz").await;
        (reply.status == wanted).then_some(reply)
    })
    .await
}

#[test]
fn readiness_follows_the_workload() {
    promise(async {
        let well = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&well);
        let origin = Origin::start(move |request| {
            let fails = request.uri().path() == "/healthz" && !asked.load(Ordering::SeqCst);
            async move { if fails { status(500) } else { ok("fine") } }
        });
        let config = Config::of_sidecar(&format!(
            "to: http://{}\nhealth: {{path: /healthz, every: 20ms, failures: 2}}",
            origin.address()
        ));
        let sidecar = Proxy::start(&config).await;
        // A workload that has passed no check yet is not well, whatever `failures` says.
        let reply = readiness(&sidecar, 503).await;
        assert!(
            reply.text().contains("web (the workload"),
            "{}",
            reply.text()
        );
        well.store(true, Ordering::SeqCst);
        assert_eq!(readiness(&sidecar, 200).await.text(), "ready\n");
        well.store(false, Ordering::SeqCst);
        let reply = readiness(&sidecar, 503).await;
        assert!(
            reply.text().contains("fails its health check"),
            "{}",
            reply.text()
        );
        // There is nobody better: whoever calls all the same is served.
        let reply = once(sidecar.address(), get("/")).await.expect("an answer");
        assert_eq!(reply.status, 200);
        well.store(true, Ordering::SeqCst);
        readiness(&sidecar, 200).await;
    });
}

#[test]
fn a_workload_that_comes_later_is_waited_for() {
    promise(async {
        let mut origin = Origin::start(|_| async { ok("fine") });
        origin.kill().await;
        let config = Config::of_sidecar(&format!(
            "to: http://localhost:{}\nhealth: {{every: 20ms}}",
            origin.address().port()
        ));
        let sidecar = Proxy::launch(&config).await;
        readiness(&sidecar, 503).await;
        origin.restart();
        readiness(&sidecar, 200).await;
        let reply = once(sidecar.address(), get("/")).await.expect("an answer");
        assert_eq!(reply.status, 200);
    });
}

#[test]
fn without_checks_the_workload_does_not_count() {
    promise(async {
        let mut origin = Origin::start(|_| async { ok("fine") });
        origin.kill().await;
        let config = Config::of_sidecar(&format!("to: http://{}", origin.address()));
        let sidecar = Proxy::start(&config).await;
        assert_eq!(sidecar.ask("GET", "/readyz").await.status, 200);
        let reply = once(sidecar.address(), get("/")).await.expect("an answer");
        assert_eq!(reply.proxy_error(), "connection_refused");
    });
}
