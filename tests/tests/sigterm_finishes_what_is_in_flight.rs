//! SIGTERM with requests in flight: all of them finish, and the exit code is 0.

use std::time::Duration;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, Reply, get};
use remora_tests::lines::says;
use remora_tests::origin::{Origin, slow};
use remora_tests::promise::{expect, promise};
use rustix::process::Signal;
use tokio::task::JoinSet;

const IN_FLIGHT: usize = 50;

#[test]
fn http1_requests_finish() {
    promise(finish(Protocol::Http1));
}

#[test]
fn http2_requests_finish() {
    promise(finish(Protocol::Http2));
}

async fn finish(protocol: Protocol) {
    let origin = Origin::start(|_| slow(Duration::from_millis(200)));
    let mut ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
    let mut idle = Connection::open(ambassador.address(), protocol)
        .await
        .expect("open");
    idle.fetch(get("/"))
        .await
        .expect("an answer before the drain");
    let mut flights = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        flights.spawn(whole(ambassador.address(), protocol));
    }
    origin.received(IN_FLIGHT + 1).await;
    ambassador.signal(Signal::TERM);
    while let Some(reply) = expect("a request in flight", flights.join_next()).await {
        let reply = reply.expect("a task");
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (200, "slow\n")
        );
        if protocol == Protocol::Http1 {
            assert_eq!(reply.header("connection"), "close");
        }
    }
    idle.closed().await;
    assert_eq!(ambassador.exit().await.code(), Some(0));
    ambassador
        .log
        .find("line `draining`", |line| says(line, "draining"))
        .await;
    ambassador
        .log
        .find("line `drained`", |line| says(line, "drained"))
        .await;
}

/// One request on a connection of its own, which the proxy closes when it has drained it.
async fn whole(address: std::net::SocketAddr, protocol: Protocol) -> Reply {
    let mut connection = Connection::open(address, protocol).await.expect("open");
    let reply = connection.fetch(get("/")).await.expect("a whole answer");
    connection.closed().await;
    reply
}
