//! `Expect: 100-continue` is the origin's to answer: no body is asked for before it says 100, and a
//! final answer without one arrives as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remora_tests::ambassador::Ambassador;
use remora_tests::promise::promise;
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;
use tokio::sync::Semaphore;

const HEAD: &str =
    "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

async fn ask(origin: &Scripted) -> (Ambassador, Wire) {
    let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
    let mut wire = Wire::connect(ambassador.address()).await;
    wire.send(HEAD).await.expect("sent");
    (ambassador, wire)
}

#[test]
fn the_body_waits_for_the_origins_word() {
    promise(async {
        let said = Arc::new(AtomicBool::new(false));
        let saying = Arc::clone(&said);
        let origin = Scripted::start(move |mut wire, _| {
            let said = Arc::clone(&saying);
            async move {
                let head = wire.head().await.unwrap_or_default().to_lowercase();
                let expects = head.contains("expect: 100-continue");
                said.store(true, Ordering::SeqCst);
                let _ = wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
                let body = wire.exactly(4).await.unwrap_or_default();
                let text = format!("{expects} {}", String::from_utf8_lossy(&body));
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
                let _ = wire.send(head + &text).await;
                wire.rest().await;
            }
        });
        let (_ambassador, mut wire) = ask(&origin).await;
        let head = wire.head().await.expect("an interim answer");
        assert!(head.starts_with("HTTP/1.1 100"), "{head}");
        assert!(
            said.load(Ordering::SeqCst),
            "the proxy said 100 before the origin did"
        );
        wire.send("body").await.expect("sent");
        let head = wire.head().await.expect("a final answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        wire.through("true body")
            .await
            .expect("the expectation and the body arrived");
    });
}

#[test]
fn a_final_answer_arrives_without_the_body_being_asked_for() {
    promise(async {
        let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        let origin = Scripted::answering(answer);
        let (_ambassador, mut wire) = ask(&origin).await;
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        assert_eq!(wire.exactly(2).await.expect("a body"), b"no");
    });
}

#[test]
fn a_refusal_whose_body_comes_later_arrives_whole() {
    promise(async {
        let go_on = Arc::new(Semaphore::new(0));
        let going_on = Arc::clone(&go_on);
        let origin = Scripted::start(move |mut wire, _| {
            let go_on = Arc::clone(&going_on);
            async move {
                let _ = wire.head().await;
                let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n";
                let _ = wire.send(head).await;
                for part in ["for", "bid", "den"] {
                    let _turn = go_on.acquire().await.map(|turn| turn.forget());
                    let _ = wire.send(part).await;
                }
                wire.rest().await;
            }
        });
        let (_ambassador, mut wire) = ask(&origin).await;
        let head = wire.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        for part in ["for", "bid", "den"] {
            go_on.add_permits(1);
            let came = wire.exactly(part.len()).await.expect("a part of the body");
            assert_eq!(came, part.as_bytes());
        }
    });
}

#[test]
fn a_client_that_does_not_wait_is_served_too() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.head().await;
            let body = wire.exactly(4).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&body).into_owned();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            let _ = wire.send(head + &text).await;
            wire.rest().await;
        });
        let (_ambassador, mut wire) = ask(&origin).await;
        wire.send("body").await.expect("sent");
        // An interim answer may or may not come; the final one must.
        wire.through("HTTP/1.1 200").await.expect("a final answer");
        wire.through("body").await.expect("the body came back");
    });
}
