//! Each exchange is one JSON line of the access log, with every promised field.

use http_body_util::BodyExt;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get, once, post};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok, status};
use remora_tests::promise::promise;
use remora_tests::scripted::refusing;
use serde_json::Value;

const FIELDS: [&str; 16] = [
    "time",
    "entry",
    "client",
    "method",
    "authority",
    "path",
    "protocol",
    "status",
    "duration_ms",
    "bytes_received",
    "bytes_sent",
    "tries",
    "endpoint",
    "reason",
    "detail",
    "trace_id",
];

fn assert_complete(line: &Value) {
    for field in FIELDS {
        assert!(line.get(field).is_some(), "no {field} in {line}");
    }
    assert!(
        line["duration_ms"].as_f64().is_some_and(|time| time >= 0.0),
        "{line}"
    );
    assert!(
        line["client"]
            .as_str()
            .is_some_and(|client| client.starts_with("127.0.0.1")),
        "{line}"
    );
    let id = line["trace_id"].as_str().unwrap_or_default();
    assert!(
        id.len() == 32 && id.chars().all(|letter| letter.is_ascii_hexdigit()),
        "{line}"
    );
}

#[test]
fn a_request_that_went_well() {
    promise(async {
        // It reads before it answers: what arrives after the answer may come too late to be counted.
        let origin = Origin::start(|request| async move {
            let _ = request.into_body().collect().await;
            ok("0123456789")
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2")] {
            let path = format!("/{protocol:?}?a=b");
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            connection
                .fetch(post(&path, "12345"))
                .await
                .expect("an answer");
            let line = ambassador.logged(&path).await;
            assert_complete(&line);
            assert_eq!(line["entry"], "users");
            assert_eq!(line["method"], "POST");
            assert_eq!(line["authority"], "users.test");
            assert_eq!(line["status"], 200);
            assert_eq!(line["tries"], 1);
            assert_eq!(line["endpoint"], origin.address().to_string());
            assert!(
                line["protocol"]
                    .as_str()
                    .is_some_and(|is| is.starts_with(version)),
                "{line}"
            );
            assert_eq!(line["bytes_received"], 5, "{line}");
            assert_eq!(line["bytes_sent"], 10, "{line}");
        }
    });
}

#[test]
fn a_request_that_failed_says_why() {
    promise(async {
        let (nobody, _held) = refusing();
        let ambassador = Ambassador::serving(&format!("to: http://{nobody}")).await;
        let reply = once(ambassador.address(), get("/failed"))
            .await
            .expect("an answer");
        let line = ambassador.logged("/failed").await;
        assert_complete(&line);
        assert_eq!(line["status"], reply.status.as_u16());
        assert_eq!(line["reason"], "connection_refused");
        assert_eq!(line["reason"], reply.proxy_error());
        assert!(
            line["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{line}"
        );
        assert_eq!(line["tries"], 3);
    });
}

#[test]
fn the_log_can_be_of_errors_only_or_off() {
    promise(async {
        for (setting, wanted) in [("errors", vec!["/503"]), ("off", vec![])] {
            let origin = Origin::start(|request| async move {
                if request.uri().path() == "/503" {
                    status(503)
                } else {
                    ok("fine")
                }
            });
            let config = Config::of(&format!("to: http://{}\nretry: off", origin.address()))
                .with(&format!("access-log: {setting}"));
            let mut ambassador = Ambassador::start(&config).await;
            for path in ["/200", "/503"] {
                once(ambassador.address(), get(path))
                    .await
                    .expect("an answer");
            }
            ambassador.signal(rustix::process::Signal::TERM);
            ambassador.exit().await;
            let lines = ambassador.access.to_end().await;
            let paths: Vec<&str> = lines
                .iter()
                .filter_map(|line| line["path"].as_str())
                .collect();
            assert_eq!(paths, wanted, "access-log: {setting}");
        }
    });
}
