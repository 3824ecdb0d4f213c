//! Deadlines, hedging, limits, injected faults, `Retry-After`, and the paths that have policies of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Body, Connection, Protocol, get, once, post};
use remora_tests::origin::{Origin, hang, ok, slow, status};
use remora_tests::promise::{promise, until};

fn with(mut request: Request<Body>, name: &'static str, value: &'static str) -> Request<Body> {
    let value = HeaderValue::from_static(value);
    request.headers_mut().insert(name, value);
    request
}

/// An answer that asks for a pause.
fn later(seconds: &'static str) -> Response<Body> {
    let mut response = status(503);
    let seconds = HeaderValue::from_static(seconds);
    response.headers_mut().insert("retry-after", seconds);
    response
}

#[test]
fn a_request_that_allows_less_time_gets_less() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!("to: http://{}\nretry: off", origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        for (name, value, said) in [
            ("grpc-timeout", "150m", "150ms"),
            ("x-request-timeout-ms", "120", "120ms"),
        ] {
            let request = with(get("/"), name, value);
            let reply = once(ambassador.address(), request)
                .await
                .expect("an answer");
            assert_eq!(
                (reply.status.as_u16(), reply.proxy_error()),
                (504, "http_response_timeout")
            );
            assert!(reply.text().contains(said), "{}", reply.text());
            let request = origin.requests().pop().expect("a request");
            let told = request.headers[name].to_str().expect("text").to_owned();
            let left: u64 = told.trim_end_matches('u').parse().expect("a number");
            let most = if told.ends_with('u') { 150_000 } else { 120 };
            assert!(left > 0 && left <= most, "{told}");
        }
    });
}

#[test]
fn a_request_that_allows_no_time_is_not_sent() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for (name, value) in [("grpc-timeout", "0S"), ("x-request-timeout-ms", "0")] {
            let reply = once(ambassador.address(), with(get("/"), name, value)).await;
            let reply = reply.expect("an answer");
            let told = (reply.status.as_u16(), reply.proxy_error());
            assert_eq!(told, (504, "http_response_timeout"), "{name}");
        }
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn each_try_is_told_what_is_left() {
    promise(async {
        let count = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if !first {
                    return ok("fine");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                status(503)
            }
        });
        let settings = format!("to: http://{}\ntimeout: {{try: 10s}}", origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        let request = with(get("/"), "x-request-timeout-ms", "20000");
        let reply = once(ambassador.address(), request)
            .await
            .expect("an answer");
        assert_eq!(reply.status, 200);
        let told = origin.requests().into_iter().map(|request| {
            let value = &request.headers["x-request-timeout-ms"];
            value
                .to_str()
                .expect("text")
                .parse::<u64>()
                .expect("a number")
        });
        let told: Vec<u64> = told.collect();
        assert!(told[0] <= 20_000 && told[1] <= told[0] - 100, "{told:?}");
    });
}

#[test]
fn a_slow_try_is_raced_by_one_elsewhere() {
    promise(async {
        let quick = Origin::start(|_| async { ok("quick") });
        let stuck = Origin::start(|_| hang());
        let settings = format!(
            "to: ['http://{}', 'http://{}']\nbalance: round-robin\nretry: off\n\
             hedge: {{after: 30ms, budget: 100%}}",
            quick.address(),
            stuck.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        for _ in 0..6 {
            let reply = once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
            assert_eq!(reply.text(), "quick");
        }
        assert!(stuck.count() >= 1, "the slow one was tried");
        let won = [("result", "won")];
        ambassador
            .metric("remora_hedges_total", &won, |count| count >= 1.0)
            .await;
        // A request that must not be sent twice is not.
        let before = stuck.count() + quick.count();
        let posts = async {
            for _ in 0..2 {
                let request = with(post("/", "once"), "x-request-timeout-ms", "300");
                let _ = once(ambassador.address(), request).await;
            }
        };
        posts.await;
        assert_eq!(stuck.count() + quick.count(), before + 2);
    });
}

#[test]
fn what_is_too_much_is_turned_away_at_once() {
    promise(async {
        let origin = Origin::start(|_| slow(Duration::from_millis(300)));
        let settings = format!(
            "to: http://{}\nlimit: {{in-flight: 2}}\nretry: off",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        let mut begun = Vec::new();
        for _ in 0..5 {
            begun.push(connection.begin(get("/")).expect("begun"));
        }
        let replies = futures_util::future::join_all(begun).await;
        let mut statuses = Vec::new();
        for reply in replies {
            let reply = reply.expect("an answer");
            if reply.status == 503 {
                assert_eq!(reply.proxy_error(), "connection_limit_reached");
                assert!(reply.text().contains("limit.in-flight"), "{}", reply.text());
            }
            statuses.push(reply.status.as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 503, 503, 503]);
        assert_eq!(origin.count(), 2);
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(reply.status, 200, "there is room again");
        let limit = |value: f64| value == 2.0;
        ambassador
            .metric("remora_in_flight_limit", &[], limit)
            .await;
    });
}

#[test]
fn an_adaptive_limit_follows_the_service() {
    promise(async {
        // It works on eight requests at once; whatever is more waits.
        let places = Arc::new(tokio::sync::Semaphore::new(8));
        let origin = Origin::start(move |_| {
            let places = Arc::clone(&places);
            async move {
                let _place = places.acquire().await;
                slow(Duration::from_millis(10)).await
            }
        });
        let settings = format!(
            "to: http://{}\nlimit: {{in-flight: adaptive}}\nretry: off",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        until("requests turned away", async || {
            let begun: Vec<_> = (0..100)
                .filter_map(|_| connection.begin(get("/")).ok())
                .collect();
            let replies = futures_util::future::join_all(begun).await;
            let refused = |reply: &Result<remora_tests::client::Reply, _>| {
                reply.as_ref().is_ok_and(|reply| reply.status == 503)
            };
            let (count, all) = (
                replies.iter().filter(|reply| refused(reply)).count(),
                replies.len(),
            );
            (count > 0 && count < all).then_some(())
        })
        .await;
        let limit = ambassador
            .metric("remora_in_flight_limit", &[], |_| true)
            .await;
        assert!((4.0..100.0).contains(&limit), "{limit}");
    });
}

#[test]
fn faults_are_made_where_they_are_asked_for() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let settings = format!(
            "to: http://{}\npaths: {{/broken: {{inject: {{abort: {{share: 100%, status: 418}}}}}}, \
             /slow: {{timeout: {{request: 200ms}}, inject: {{delay: {{share: 100%, for: 1m}}}}}}}}",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let fetch = async |path: &str| {
            once(ambassador.address(), get(path))
                .await
                .expect("an answer")
        };
        let reply = fetch("/broken/x").await;
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (418, "proxy_internal_response")
        );
        let reply = fetch("/slow").await;
        assert_eq!(reply.proxy_error(), "http_response_timeout");
        assert_eq!(origin.count(), 0, "nothing was sent");
        assert_eq!(fetch("/brokenness").await.text(), "fine");
    });
}

#[test]
fn a_path_has_retries_of_its_own() {
    promise(async {
        let origin = Origin::start(|_| async { status(503) });
        let settings = format!(
            "to: http://{}\npaths: {{/once: {{retry: off}}, /once/thrice: {{retry: {{attempts: 2}}}}}}",
            origin.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        for (path, tries) in [("/once", 1), ("/once/thrice?x=/once", 3), ("/", 3)] {
            let before = origin.count();
            let mut request = get(path);
            let one = HeaderValue::from_static("1");
            request.headers_mut().insert("x-remora-explain", one);
            let reply = once(ambassador.address(), request)
                .await
                .expect("an answer");
            assert_eq!(reply.status, 503);
            assert_eq!(origin.count() - before, tries, "{path}");
            let told: serde_json::Value =
                serde_json::from_str(reply.header("x-remora-explain")).expect("JSON");
            let wanted = path.split('?').next().filter(|path| path.len() > 1);
            assert_eq!(told["path"].as_str(), wanted, "{told}");
        }
    });
}

#[test]
fn a_pause_that_is_asked_for_is_kept_or_passed_on() {
    promise(async {
        let count = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |request| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let long = request.uri().path() == "/long";
            async move {
                match (long, first) {
                    (true, _) => later("3600"),
                    (false, true) => later("1"),
                    (false, false) => ok("fine"),
                }
            }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let begun = std::time::Instant::now();
        let reply = once(ambassador.address(), get("/"))
            .await
            .expect("an answer");
        assert_eq!(reply.status, 200);
        assert!(
            begun.elapsed() >= Duration::from_secs(1),
            "it was waited for"
        );
        let before = origin.count();
        let reply = once(ambassador.address(), get("/long"))
            .await
            .expect("an answer");
        assert_eq!(reply.header("retry-after"), "3600");
        assert_eq!(origin.count(), before + 1);
        let why = [("why", "retry_after")];
        ambassador
            .metric("remora_retries_denied_total", &why, |count| count == 1.0)
            .await;
    });
}

#[test]
fn another_endpoint_is_not_waited_for() {
    promise(async {
        let busy = Origin::start(|_| async { later("3600") });
        let free = Origin::start(|_| async { ok("fine") });
        let settings = format!(
            "to: ['http://{}', 'http://{}']\nbalance: round-robin\nretry: {{budget: 100%}}",
            busy.address(),
            free.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        for _ in 0..4 {
            let reply = once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
            assert_eq!(reply.text(), "fine");
        }
        assert!(busy.count() > 0);
    });
}
