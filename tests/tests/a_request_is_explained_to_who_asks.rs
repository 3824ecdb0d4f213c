//! `x-remora-explain` tells what happened to a request: each try and why, also where the proxy itself answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderValue, Request};
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Reply, get, once};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, hang, ok, status};
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::scripted::refusing;
use remora_tests::wire::Wire;
use serde_json::Value;

fn asking() -> Request<Body> {
    let mut request = get("/");
    let one = HeaderValue::from_static("1");
    request.headers_mut().insert("x-remora-explain", one);
    request
}

async fn ask(ambassador: &Ambassador) -> (Reply, Value) {
    let reply = once(ambassador.address(), asking()).await;
    let reply = reply.expect("an answer");
    let text = reply.header("x-remora-explain").to_owned();
    let told = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
    (reply, told)
}

#[test]
fn each_try_and_what_is_left_of_the_budget() {
    promise(async {
        let count = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if first { status(503) } else { ok("fine") } }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let (reply, told) = ask(&ambassador).await;
        assert_eq!(reply.status, 200);
        assert_eq!(told["entry"], "users");
        let tries = told["tries"].as_array().expect("tries");
        let outcomes: Vec<&Value> = tries.iter().map(|tried| &tried["outcome"]).collect();
        assert_eq!(outcomes, ["status 503", "status 200"]);
        for tried in tries {
            assert_eq!(tried["endpoint"], origin.address().to_string());
        }
        assert!(tries[1]["at_ms"].as_f64() >= tries[0]["took_ms"].as_f64());
        assert!(told["elapsed_ms"].as_f64() >= tries[1]["at_ms"].as_f64());
        assert!(told["budget_left"].is_number(), "{told}");
        assert_eq!(told["reason"], Value::Null);
        for request in origin.requests() {
            assert!(!request.headers.contains_key("x-remora-explain"));
        }
    });
}

#[test]
fn an_answer_of_the_proxys_own() {
    promise(async {
        let (nobody, _held) = refusing();
        let ambassador = Ambassador::serving(&format!("to: http://{nobody}")).await;
        let (reply, told) = ask(&ambassador).await;
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (502, "connection_refused")
        );
        assert_eq!(told["reason"], "connection_refused");
        assert_eq!(told["retry_denied"], "attempts");
        let tries = told["tries"].as_array().expect("tries");
        assert_eq!(tries.len(), 3, "{told}");
        let outcome = tries[0]["outcome"].as_str().unwrap_or_default();
        assert!(outcome.starts_with("connection_refused: "), "{outcome}");
    });
}

#[test]
fn a_try_that_was_too_slow() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!(
            "to: http://{}\ntimeout: {{try: 100ms}}\nretry: off",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let (reply, told) = ask(&ambassador).await;
        assert_eq!(reply.status, 504);
        assert_eq!(told["reason"], "http_response_timeout");
        assert_eq!(
            told["tries"][0]["outcome"], "given up for being slow",
            "{told}"
        );
    });
}

#[test]
fn nobody_is_told_where_that_is_off() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of(&format!("to: http://{}", origin.address())).with("explain: off");
        let ambassador = Ambassador::start(&config).await;
        let reply = once(ambassador.address(), asking())
            .await
            .expect("an answer");
        assert_eq!(reply.status, 200);
        assert!(!reply.headers.contains_key("x-remora-explain"));
        assert!(
            !origin.requests()[0]
                .headers
                .contains_key("x-remora-explain")
        );
    });
}

#[test]
fn addresses_are_told_to_those_alone_who_may_ask() {
    promise(async {
        let (nowhere, _held) = refusing();
        for (explain, is_told) in [("all", true), ("local", true), ("off", false)] {
            let config = Config::of(&format!("to: http://{nowhere}"));
            let config = config.with(&format!("explain: {explain}"));
            let ambassador = Ambassador::start(&config).await;
            let mut call = get("/");
            let grpc = HeaderValue::from_static("application/grpc");
            for message in ["", "grpc-message"] {
                let reply = once(ambassador.address(), call).await.expect("an answer");
                let status = reply.headers["proxy-status"].to_str().expect("text");
                assert!(
                    status.starts_with("remora; error=connection_refused"),
                    "{status}"
                );
                let told = match message {
                    "" => String::from_utf8_lossy(&reply.body).into_owned(),
                    name => reply.headers[name].to_str().expect("text").to_owned(),
                };
                assert!(told.starts_with("connection_refused"), "{told}");
                for text in [status, &told] {
                    assert_eq!(
                        text.contains(&nowhere.to_string()),
                        is_told,
                        "{explain}: {text}"
                    );
                }
                call = get("/");
                call.headers_mut().insert("content-type", grpc.clone());
            }
            let mut wire = Wire::connect(ambassador.address()).await;
            let mistake = "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned();
            wire.send(mistake).await.expect("sent");
            let head = wire.head().await.expect("an answer");
            assert!(head.contains("details="), "{head}");
        }
    });
}

#[test]
fn callers_behind_another_proxy_are_told_no_addresses() {
    promise(async {
        let (nowhere, _held) = refusing();
        let settings = format!("to: http://{nowhere}\nproxy-protocol: {{from: [127.0.0.1]}}");
        let sidecar = Proxy::start(&Config::of_sidecar(&settings)).await;
        let own = "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n";
        for (header, field, is_told) in [
            (own, "accept: */*", true),
            (
                "PROXY TCP4 203.0.113.5 127.0.0.1 1 2\r\n",
                "accept: */*",
                false,
            ),
            (own, "x-forwarded-for: 203.0.113.5", false),
            (own, "forwarded: for=203.0.113.5", false),
            (own, "x-real-ip: 203.0.113.5", false),
        ] {
            let mut wire = Wire::connect(sidecar.address()).await;
            let asked =
                format!("GET / HTTP/1.1\r\nhost: a\r\nx-remora-explain: 1\r\n{field}\r\n\r\n");
            wire.send(format!("{header}{asked}")).await.expect("sent");
            let head = wire.head().await.expect("an answer").to_ascii_lowercase();
            assert!(head.contains("error=connection_refused"), "{head}");
            for told in [&nowhere.to_string(), "x-remora-explain:"] {
                assert_eq!(head.contains(told), is_told, "{header}{field}: {head}");
            }
        }
    });
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert!(!reply.headers.contains_key("x-remora-explain"));
    });
}
