//! `explain` tells what a request would get without sending it, and `check --samples` holds a file of
//! samples against that.

use std::path::Path;

use remora_tests::ambassador::{Ambassador, run_in};
use remora_tests::client::{get, once};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

const CONFIG: &str = "\
ambassador:
  users:
    listen: localhost:9000
    to: ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'http://10.0.0.3:80']
    balance: {hash: {header: x-user}}
    paths:
      /reports: {timeout: {request: 1m}, retry: off}
      /reports/daily: {hedge: {after: 50ms}, mirror: {to: http://reports-next, share: 5%}}
  mail:
    listen: 127.0.0.1:9001
    to: tcp://mail.default:25
";

async fn told(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    std::fs::write(folder.join("remora.yaml"), CONFIG).expect("a file");
    let output = run_in(
        folder,
        &[&["explain", "-c", "remora.yaml"], arguments].concat(),
    )
    .await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("a code"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_request_is_explained() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        let url = "GET http://localhost:9000/reports/7?x=/reports/daily";
        let (code, text, _) = told(folder.path(), &[url, "-H", "x-user: ann"]).await;
        assert_eq!(code, 0);
        let endpoint = text.lines().find(|line| line.starts_with("endpoint: "));
        let endpoint = endpoint.expect("an endpoint").to_owned();
        assert!(endpoint.contains("10.0.0."), "{text}");
        let expected = format!(
            "entry: users\n\
             path: \"/reports\"\n\
             protocol: HTTP/1.1\n\
             to: [http://10.0.0.1:80, http://10.0.0.2:80, http://10.0.0.3:80]\n\
             discover: static\n\
             balance:\n  hash:\n    header: x-user\n\
             {endpoint}\n\
             authority: null\n\
             timeout:\n  request: 1m\n  try: off\n  connect: 1s\n\
             retry: off\n\
             hedge: off\n\
             limit:\n  in-flight: off\n\
             inject: off\n\
             mirror: off\n"
        );
        assert_eq!(text, expected);
        // The same key, the same endpoint; no key, none that can be told.
        let (_, again, _) = told(folder.path(), &[url, "-H", "x-user: ann"]).await;
        assert_eq!(text, again);
        let (_, without, _) = told(folder.path(), &[url]).await;
        assert!(without.contains("endpoint: null"), "{without}");
        let post = "POST http://127.0.0.1:9000/";
        let (_, text, _) = told(folder.path(), &[post]).await;
        assert!(text.contains("though-perhaps-seen: false"), "{text}");
        let (_, text, _) = told(folder.path(), &[post, "-H", "idempotency-key: 1"]).await;
        assert!(text.contains("though-perhaps-seen: true"), "{text}");
        let (_, text, _) = told(folder.path(), &[url, "-H", "x-request-timeout-ms: 100"]).await;
        assert!(text.contains("  request: 100ms\n"), "{text}");
        let (_, text, _) = told(folder.path(), &["GET http://localhost:9001"]).await;
        assert!(text.starts_with("entry: mail\nprotocol: bytes\n"), "{text}");
    });
}

#[test]
fn a_question_that_cannot_be_answered_says_why() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        for (arguments, said) in [
            (
                &["GET http://localhost:9999/"][..],
                "no entry listens on localhost:9999; there are mail (127.0.0.1:9001), users (localhost:9000)",
            ),
            (&["GET /users"], "names no listener"),
            (&["G(T http://a/"], "is not a method"),
            (
                &["GET http://localhost:9000/", "-H", "x-user"],
                "is not a header",
            ),
        ] {
            let (code, _, text) = told(folder.path(), arguments).await;
            assert_eq!(code, 2, "{text}");
            assert!(text.contains(said), "{text}");
        }
    });
}

#[test]
fn samples_hold_or_their_places_are_told() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("remora.yaml"), CONFIG).expect("a file");
        let check = async |samples: &str| {
            std::fs::write(folder.path().join("samples.yaml"), samples).expect("a file");
            let arguments = ["check", "-c", "remora.yaml", "--samples", "samples.yaml"];
            let output = run_in(folder.path(), &arguments).await;
            let text = [output.stdout, output.stderr].concat();
            let code = output.status.code().expect("a code");
            (code, String::from_utf8_lossy(&text).into_owned())
        };
        let good = "\
- request: GET http://localhost:9000/reports/daily/1
  expect: {entry: users, path: /reports/daily, hedge: {after: 50ms}, retry: {attempts: 2}, mirror: {share: 5%}}
- request: GET http://localhost:9000/reports/daily/1
  headers: {upgrade: websocket}
  expect: {mirror: off}
- request: GET http://localhost:9000/
  headers: {x-user: ann}
  expect: {path: null, timeout: {request: 30s}, discover: static}
";
        let (code, text) = check(good).await;
        assert_eq!((code, text.as_str()), (0, "ok: 2 entries, 3 samples\n"));
        let bad = "\
- request: GET http://localhost:9000/reports
  expect: {path: /, retry: {attempts: 2}, nothing: 1}
- request: GET http://localhost:1/
  expect: {entry: users}
- request: GET http://localhost:9000/
  expect: {}
";
        let (code, text) = check(bad).await;
        assert_eq!(code, 2);
        for said in [
            "it is `/reports`",
            "samples.yaml:2:18",
            "it is `off`",
            "`explain` says no `nothing`",
            "no entry listens on localhost:1",
            "samples.yaml:3:",
            "nothing is expected",
            "5 errors",
        ] {
            assert!(text.contains(said), "no {said} in {text}");
        }
        let (code, text) = check("- request: 5\n  expct: {}\n").await;
        assert_eq!(code, 2);
        assert!(text.contains("did you mean `expect`?"), "{text}");
    });
}

#[test]
fn what_is_told_is_what_happens() {
    promise(async {
        let origins = [0; 3].map(|_| Origin::start(|_| async { ok("fine") }));
        let to: Vec<String> = origins
            .iter()
            .map(|o| format!("'http://{}'", o.address()))
            .collect();
        let settings = format!(
            "to: [{}]\nbalance: {{hash: {{header: x-user}}}}",
            to.join(", ")
        );
        let ambassador = Ambassador::serving(&settings).await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = format!(
            "ambassador:\n  users:\n    listen: localhost:9000\n    {}\n",
            settings.replace('\n', "\n    ")
        );
        std::fs::write(folder.path().join("remora.yaml"), file).expect("a file");
        for user in ["ann", "bob", "eve", "joe"] {
            let field = format!("x-user: {user}");
            let line = "GET http://localhost:9000/";
            let arguments = ["explain", "-c", "remora.yaml", line, "-H", &field];
            let output = run_in(folder.path(), &arguments).await;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let before = origins.each_ref().map(Origin::count);
            let mut request = get("/");
            request
                .headers_mut()
                .insert("x-user", user.parse().expect("a value"));
            once(ambassador.address(), request)
                .await
                .expect("an answer");
            let served = origins
                .iter()
                .zip(before)
                .find(|(origin, before)| origin.count() > *before);
            let (served, _) = served.expect("one served it");
            assert!(
                text.contains(&format!("endpoint: \"{}\"", served.address()))
                    || text.contains(&format!("endpoint: {}", served.address())),
                "{text}"
            );
        }
    });
}
