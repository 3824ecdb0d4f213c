//! The live page shows an operator what happens and why, to anyone who watches and at no size too wide.

use remora_tests::ambassador::Ambassador;
use remora_tests::browser::{CHROMIUM, Page};
use remora_tests::client::{Connection, Protocol, get, once, request};
use remora_tests::config::Config;
use remora_tests::events::Events;
use remora_tests::needs;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::{expect, promise, until};
use remora_tests::proxy::Proxy;
use remora_tests::scripted::refusing;
use rustix::process::Signal;
use serde_json::Value;

/// The most streams at once.
const STREAMS: usize = 16;

/// An entry of which one endpoint answers and another refuses connections, and each request with a secret.
async fn half_down(origin: &Origin, down: std::net::SocketAddr) -> Ambassador {
    let settings = format!(
        "to: ['http://{}', 'http://{down}']\nbalance: round-robin\neject: {{for: 5m}}",
        origin.address()
    );
    let ambassador = Ambassador::serving(&settings).await;
    let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
        .await
        .expect("open");
    for _ in 0..20 {
        let reply = connection.fetch(get("/account?token=hunter2")).await;
        reply.expect("an answer");
    }
    connection.fetch(get("/bad")).await.expect("an answer");
    ambassador
        .metric("remora_ejections_total", &[], |value| value == 1.0)
        .await;
    ambassador
}

/// Answers well, but for one path.
fn origin() -> Origin {
    Origin::start(|request| {
        let bad = request.uri().path() == "/bad";
        async move { if bad { status(500) } else { ok("fine") } }
    })
}

async fn watch(ambassador: &Ambassador) -> Events {
    let opened = Events::open(ambassador.admin().await, "/live").await;
    opened.unwrap_or_else(|reply| panic!("{}: {}", reply.status, reply.text()))
}

fn find(list: &Value, wanted: impl Fn(&Value) -> bool) -> &Value {
    let mut items = list.as_array().expect("a list").iter();
    items.find(|item| wanted(item)).unwrap_or(&Value::Null)
}

#[test]
fn the_stream_tells_which_endpoint_fails_and_why() {
    promise(async {
        let (origin, (down, _held)) = (origin(), refusing());
        let ambassador = half_down(&origin, down).await;
        let mut events = watch(&ambassador).await;
        let first = events.next().await.expect("an event");
        assert!(!first.to_string().contains("hunter2"), "{first}");
        assert_eq!(first["unready"], serde_json::json!([]));
        let entry = &first["entries"][0];
        assert_eq!(entry["name"], "users");
        assert_eq!(entry["rates"], Value::Null, "{entry}");
        assert_eq!(entry["totals"]["requests"], 21, "{entry}");
        assert_eq!(entry["totals"]["errors"], 1, "{entry}");
        assert_eq!(entry["endpoints_available"], 1, "{entry}");
        let endpoint = find(&entry["endpoints"], |e| e["address"] == down.to_string());
        assert_eq!(endpoint["state"], "ejected", "{entry}");
        let failures = &entry["failures"];
        let refused = find(failures, |f| f["reason"] == "connection_refused");
        assert_eq!(refused["endpoint"], down.to_string(), "{failures}");
        // Five tries failed; each was made good by a retry.
        assert_eq!(
            (&refused["tries"], &refused["told"]),
            (&5.into(), &0.into())
        );
        let answered = find(failures, |f| f["detail"] == "status 500");
        assert_eq!(answered["endpoint"], origin.address().to_string());
        assert_eq!(answered["told"], 1, "{failures}");
        let second = events.next().await.expect("another event");
        let entry = &second["entries"][0];
        assert_eq!(entry["rates"]["requests"], 0.0, "{entry}");
    });
}

#[test]
fn what_is_stale_or_not_heeded_or_rejected_says_why() {
    promise(async {
        let sick = Origin::start(|_| async { status(500) });
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("endpoints");
        std::fs::write(&file, format!("{}\n", sick.address())).expect("a file");
        let settings = format!(
            "to: http://users.test\ndiscover: {{file: {}}}\n\
             health: {{path: /healthz, every: 50ms, failures: 1}}",
            file.display()
        );
        let ambassador = Ambassador::start(&Config::of(&settings)).await;
        let mut events = watch(&ambassador).await;
        let unheeded = |event: &Value| event["entries"][0]["checks"]["heeded"] == false;
        let event = events.find("checks that do not count", unheeded).await;
        let entry = &event["entries"][0];
        assert_eq!(entry["checks"]["failing"], 1, "{entry}");
        assert_eq!(entry["endpoints"][0]["state"], "unhealthy", "{entry}");
        let check = entry["endpoints"][0]["check"].as_str().expect("a reason");
        assert!(check.contains("500"), "{check}");
        std::fs::write(&file, "no address\n").expect("a file");
        let stale = |event: &Value| event["entries"][0]["discovery"]["stale"] == true;
        let event = events.find("a stale set", stale).await;
        let why = &event["entries"][0]["discovery"]["why"][0];
        assert!(why.as_str().is_some_and(|why| !why.is_empty()), "{event}");
        ambassador.rewrite("ambassador: {users: {listen: 5}}\n");
        let rejected = |event: &Value| event["reload"]["succeeded"] == false;
        let event = events.find("a rejected reload", rejected).await;
        let errors = event["reload"]["errors"].as_str().expect("errors");
        assert!(errors.contains("remora.yaml"), "{errors}");
    });
}

#[test]
fn so_many_watch_and_no_more() {
    promise(async {
        let origin = origin();
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut all = Vec::new();
        for _ in 0..STREAMS {
            all.push(watch(&ambassador).await);
        }
        let admin = ambassador.admin().await;
        let refused = Events::open(admin, "/live")
            .await
            .expect_err("one too many");
        assert_eq!(refused.status, 503);
        // One who goes leaves a place.
        all.pop();
        let mut last = until("a place", async || Events::open(admin, "/live").await.ok()).await;
        last.next().await.expect("an event");
    });
}

#[test]
fn the_stream_ends_with_the_drain() {
    promise(async {
        let origin = origin();
        let mut ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut events = watch(&ambassador).await;
        let first = events.next().await.expect("an event");
        assert_eq!(first["draining"], false);
        ambassador.signal(Signal::TERM);
        let last = expect("the end", async {
            let mut last = first;
            while let Some(event) = events.next().await {
                last = event;
            }
            last
        });
        assert_eq!(last.await["draining"], true);
        assert!(ambassador.exit().await.success());
    });
}

#[test]
fn the_page_is_one_document_that_runs_nothing_else() {
    promise(async {
        let origin = origin();
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let page = ambassador.ask("GET", "/").await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for asset in ["src=", "url(", "@import", "//cdn"] {
            assert!(!page.text().contains(asset), "{asset}");
        }
        assert_eq!(ambassador.ask("POST", "/").await.status, 405);
        assert_eq!(ambassador.ask("POST", "/live").await.status, 405);
        assert_eq!(ambassador.ask("GET", "/nothing").await.status, 404);
    });
}

#[test]
fn a_browser_draws_it_at_every_size() {
    if !needs::met(&[CHROMIUM], false) {
        return;
    }
    promise(async {
        let (origin, (down, _held)) = (origin(), refusing());
        let ambassador = half_down(&origin, down).await;
        let mut page = Page::start().await;
        page.show_as(1200, "light").await;
        page.open(&format!("http://{}/", ambassador.admin().await))
            .await;
        for text in [
            "● live",
            "✕ ejected",
            "● available",
            "connection_refused",
            "● ready",
        ] {
            page.holds(&format!("document.body.innerText.includes('{text}')"))
                .await;
        }
        let shown = page
            .value("document.querySelector('.entry').innerText")
            .await;
        let shown = shown.as_str().expect("text");
        for text in [
            "users",
            &down.to_string(),
            &origin.address().to_string(),
            "status 500",
        ] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        page.holds("document.querySelector('.first').getAttribute('d').includes('L')")
            .await;
        page.holds("[...document.querySelectorAll('svg')].every((svg) => svg.ariaLabel)")
            .await;
        let mut backgrounds = Vec::new();
        for scheme in ["light", "dark"] {
            for width in [375, 768, 1200] {
                page.show_as(width, scheme).await;
                page.holds(&format!("innerWidth === {width}")).await;
                let wide = page.value("document.documentElement.scrollWidth").await;
                assert!(wide.as_u64() <= Some(width.into()), "{wide} at {width}");
            }
            let colour = "getComputedStyle(document.body).backgroundColor";
            backgrounds.push(page.value(colour).await);
        }
        assert_ne!(backgrounds[0], backgrounds[1]);
        assert_eq!(page.complaints(), [] as [Value; 0]);
    });
}

#[test]
fn a_gateway_without_endpoints_of_its_own_is_well() {
    if !needs::met(&[CHROMIUM], false) {
        return;
    }
    promise(async {
        let origin = origin();
        let config = Config::of_ingress(&format!("routes: {{'*': 'http://{}'}}", origin.address()));
        let ingress = Proxy::start(&config).await;
        let mut page = Page::start().await;
        page.open(&format!("http://{}/", ingress.admin().await))
            .await;
        let card = "document.querySelector('[aria-label=\"Entry edge\"]').innerText";
        for text in ["● well", "→ its routes"] {
            page.holds(&format!("{card}.includes('{text}')")).await;
        }
        let shown = page.value(card).await;
        let shown = shown.as_str().expect("text");
        for text in ["endpoint", "Retry budget", "Weight"] {
            assert!(!shown.contains(text), "{text}: {shown}");
        }
        let upstream = format!("routes → {}", origin.address());
        page.holds(&format!("document.body.innerText.includes('{upstream}')"))
            .await;
    });
}

#[test]
fn a_page_of_another_origin_may_not_act() {
    promise(async {
        let origin = origin();
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let admin = ambassador.admin().await;
        let own = admin.to_string();
        for (from, host, status) in [
            (Some("https://elsewhere.test".to_owned()), own.as_str(), 403),
            (Some("null".to_owned()), &own, 403),
            (
                Some("http://rebound.test:1".to_owned()),
                "rebound.test:1",
                421,
            ),
            (Some(format!("http://{admin}")), &own, 200),
            (None, &own, 200),
            (None, "rebound.test:1", 421),
        ] {
            let mut reload = request("POST", "/reload");
            let headers = reload.headers_mut();
            headers.insert("host", host.parse().expect("a value"));
            if let Some(from) = &from {
                headers.insert("origin", from.parse().expect("a value"));
            }
            let reply = once(admin, reload).await.expect("an answer");
            assert_eq!(reply.status, status, "{from:?}");
        }
    });
}
