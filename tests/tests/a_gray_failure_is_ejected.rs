//! An endpoint that fails three of ten requests, or is much slower than the others, is found out and
//! left out, whatever the balancer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::origin::{self, Origin, ok, status};
use remora_tests::promise::promise;

/// An upstream that fails three of ten requests.
fn gray() -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match number % 10 {
                1 | 4 | 8 => status(503),
                _ => ok("fine"),
            }
        }
    })
}

/// An upstream that takes its time.
fn slow() -> Origin {
    Origin::start(|_| origin::slow(Duration::from_millis(50)))
}

#[test]
fn one_that_fails_with_round_robin() {
    is_found_out(gray, "share");
}

#[test]
fn one_that_is_slow_with_round_robin() {
    is_found_out(slow, "slow");
}

fn is_found_out(gray: fn() -> Origin, cause: &'static str) {
    promise(async move {
        let gray = gray();
        let healthy = [(); 3].map(|()| Origin::start(|_| async { ok("fine") }));
        let to: Vec<String> = healthy
            .iter()
            .chain([&gray])
            .map(|origin| format!("'http://{}'", origin.address()))
            .collect();
        let to = to.join(", ");
        let settings = format!("to: [{to}]\nbalance: round-robin\neject: {{slow: 5}}");
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        let mut sent = 0;
        while ambassador
            .metrics()
            .await
            .sum("remora_ejections_total", &[("cause", cause)])
            == 0.0
        {
            assert!(sent < 2_000, "it is never found out");
            for _ in 0..50 {
                let reply = connection.fetch(get("/")).await.expect("an answer");
                assert_eq!(reply.status, 200, "retries hide it");
                sent += 1;
            }
        }
        let ejected = [("endpoint", &*gray.address().to_string())];
        let out = ambassador
            .metrics()
            .await
            .sum("remora_endpoint_ejected", &ejected);
        assert_eq!(out, 1.0, "it is the gray one that is out");
        let before = gray.count();
        for _ in 0..100 {
            connection.fetch(get("/")).await.expect("an answer");
        }
        assert_eq!(gray.count(), before, "and it gets nothing more");
    });
}
