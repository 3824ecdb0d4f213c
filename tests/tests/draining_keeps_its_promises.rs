//! A drain is announced by readiness, keeps accepting for its delay, waits for what is in flight even
//! of entries that a reload removed, and is bounded by its timeout.

use std::sync::Arc;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get, once};
use remora_tests::config::Config;
use remora_tests::lines::says;
use remora_tests::origin::{Origin, hang, ok};
use remora_tests::promise::{promise, until};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

#[test]
fn during_the_delay_it_is_not_ready_and_still_accepts() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of(&format!("to: http://{}", origin.address()))
            .with("drain: {delay: 60s, timeout: 30s}");
        let ambassador = Ambassador::start(&config).await;
        assert_eq!(ambassador.ask("GET", "/readyz").await.status, 200);
        assert!(ambassador.ask("POST", "/drain").await.status.is_success());
        ambassador
            .log
            .find("line `draining`", |line| says(line, "draining"))
            .await;
        until("readiness to go", async || {
            (ambassador.ask("GET", "/readyz").await.status == 503).then_some(())
        })
        .await;
        assert_eq!(ambassador.ask("GET", "/livez").await.status, 200);
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("it still accepts");
        assert_eq!(reply.status, 200);
    });
}

#[test]
fn the_timeout_ends_what_does_not_end() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let config = Config::of(&format!("to: http://{}", origin.address()))
            .with("drain: {delay: 0s, timeout: 500ms}");
        let mut ambassador = Ambassador::start(&config).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let flight = tokio::spawn(async move { connection.fetch(get("/")).await });
        origin.received(1).await;
        ambassador.signal(Signal::TERM);
        ambassador.exit().await;
        let reply = flight.await.expect("a task");
        assert!(!reply.is_ok_and(|reply| reply.status.is_success()));
        // It is told from one whose caller went away.
        let line = ambassador.logged("/").await;
        assert_eq!(
            (&line["status"], &line["aborted"]),
            (&499.into(), &true.into())
        );
        assert_eq!(line["reason"], "proxy_internal_error");
        let detail = line["detail"].as_str().expect("a detail");
        assert!(detail.contains("drain.timeout"), "{detail}");
    });
}

#[test]
fn a_second_signal_ends_at_once_and_what_it_cuts_off_is_logged() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let config = Config::of(&format!("to: http://{}", origin.address()));
        let mut ambassador = Ambassador::start(&config).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let flight = tokio::spawn(async move { connection.fetch(get("/stuck")).await });
        origin.received(1).await;
        ambassador.signal(Signal::TERM);
        let draining = |line: &serde_json::Value| says(line, "draining");
        ambassador.log.find("line `draining`", draining).await;
        ambassador.signal(Signal::TERM);
        assert_eq!(ambassador.exit().await.code(), Some(1));
        assert_eq!(ambassador.logged("/stuck").await["aborted"], true);
        assert!(flight.await.expect("a task").is_err());
    });
}

#[test]
fn what_is_in_flight_of_a_removed_entry_finishes() {
    promise(async {
        let gate = Arc::new(Semaphore::new(0));
        let gated = Arc::clone(&gate);
        let origin = Origin::start(move |_| {
            let gate = Arc::clone(&gated);
            async move {
                let _ = gate.acquire().await;
                ok("late")
            }
        });
        let to = format!("to: http://{}", origin.address());
        let config = Config::of(&to).with("drain: {timeout: 6s}");
        let mut ambassador = Ambassador::start(&config.clone().and("removed", &to)).await;
        let removed = ambassador.address_of("removed").await;
        let flight = tokio::spawn(once(removed, get("/")));
        origin.received(1).await;
        ambassador.rewrite(&config.text());
        assert!(ambassador.ask("POST", "/reload").await.status.is_success());
        refused(removed).await;

        ambassador.signal(Signal::TERM);
        let draining = |line: &serde_json::Value| says(line, "draining");
        ambassador.log.find("line `draining`", draining).await;
        // Whatever the drain forgot is cut off as soon as the last listener has closed.
        refused(ambassador.address()).await;
        gate.add_permits(1);
        let reply = flight.await.expect("a task").expect("an answer");
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (200, "late")
        );
        assert!(ambassador.exit().await.success());
    });
}

/// Waits until nobody listens there any more.
async fn refused(address: std::net::SocketAddr) {
    until("the listener to go", async || {
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
}
