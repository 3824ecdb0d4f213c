//! A sidecar needs nothing but `--listen` and `--to`, carries what it is given, and reads its own section of a file.

use remora_tests::ambassador;
use remora_tests::client::{Connection, Protocol, get, once, post};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, echo, ok};
use remora_tests::promise::promise;
use remora_tests::proxy::{Proxy, SIDECAR, run, run_in};
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;

#[test]
fn flags_alone_suffice_and_a_port_alone_is_every_address() {
    promise(async {
        let origin = Origin::start(|request| async move {
            let host = request.headers()["host"]
                .to_str()
                .unwrap_or_default()
                .to_owned();
            ok(host)
        });
        let to = format!("http://localhost:{}", origin.address().port());
        let sidecar = Proxy::of_flags(SIDECAR, &["--listen", ":0", "--to", &to]).await;
        assert!(
            sidecar.address().ip().is_unspecified(),
            "{}",
            sidecar.address()
        );
        let address = ([127, 0, 0, 1], sidecar.address().port()).into();
        let reply = once(address, get("/")).await.expect("an answer");
        assert_eq!(reply.status, 200);
        assert_eq!(reply.text(), "users.test", "the caller's own authority");
        let build = [("role", SIDECAR)];
        assert!(sidecar.metrics().await.has("remora_build_info", &build));
    });
}

#[test]
fn requests_and_bytes_pass_over_every_protocol() {
    promise(async {
        let origin = Origin::start(|request| async move { echo(request) });
        for scheme in ["http", "h2c"] {
            let config = Config::of_sidecar(&format!("to: {scheme}://{}", origin.address()));
            let sidecar = Proxy::start(&config).await;
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let mut connection = Connection::open(sidecar.address(), protocol)
                    .await
                    .expect("open");
                let reply = connection
                    .fetch(post("/", "hello"))
                    .await
                    .expect("an answer");
                assert_eq!(reply.text(), "hello", "{scheme} {protocol:?}");
            }
        }
        let origin = Scripted::answering("220 ready\r\n");
        let config = Config::of_sidecar(&format!("to: tcp://{}", origin.address()));
        let sidecar = Proxy::start(&config).await;
        let mut wire = Wire::connect(sidecar.address()).await;
        wire.send("\r\n\r\n").await.expect("sent");
        assert_eq!(wire.through("\n").await.expect("bytes"), "220 ready\r\n");
    });
}

/// What only the section of the other role has wrong is no mistake of one's own.
#[test]
fn one_file_serves_both_binaries() {
    promise(async {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "ambassador: {users: {listen: localhost:9000, to: 'http://users:8080'}}\n\
                    sidecar: {web: {listen: :8443, to: 'http://localhost:8080'}}\n";
        let [ambassadors_own, sidecars_own] = [
            text.replace("8443, to", "8443, zzz: '${NOT_SET_HERE}', to"),
            text.replace("9000, to", "9000, zzz: '${NOT_SET_HERE}', to"),
        ];
        for (text, [of_ambassador, of_sidecar]) in [
            (text, [0, 0]),
            (&ambassadors_own, [0, 2]),
            (&sidecars_own, [2, 0]),
        ] {
            std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
            let check = ["check", "-c", "remora.yaml"];
            let output = ambassador::run_in(directory.path(), &check).await;
            assert_eq!(output.status.code(), Some(of_ambassador), "{text}");
            let output = run_in(SIDECAR, directory.path(), &check).await;
            assert_eq!(output.status.code(), Some(of_sidecar), "{text}");
        }
        let effective = ["check", "--effective", "-c", "remora.yaml"];
        std::fs::write(directory.path().join("remora.yaml"), text).expect("a file");
        let output = run_in(SIDECAR, directory.path(), &effective).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("admin: localhost:15010") && said.contains("on: [connect]"),
            "{said}"
        );
        assert!(!said.contains("ambassador"), "{said}");
        std::fs::write(directory.path().join("remora.yaml"), &said).expect("a file");
        let again = run_in(SIDECAR, directory.path(), &effective).await;
        assert_eq!(String::from_utf8_lossy(&again.stdout), said);
    });
}

/// Wrong files, each with what is said about it.
const WRONG: &[(&str, &[&str])] = &[
    ("{}", &["missing key `listen`"]),
    (
        "{listen: 8443, to: 'http://a'}",
        &["write `:8443` for every address"],
    ),
    (
        "{listen: :1, to: 'https://a'}",
        &["`https` is not spoken", "write `http://a:443`"],
    ),
    ("{listen: :1, to: ['http://a']}", &["found a list"]),
    (
        "{listen: :1, to: 'http://a', helth: {}}",
        &["unknown key `helth`", "did you mean `health`?"],
    ),
    (
        "{listen: :1, to: 'http://a', subset: 3}",
        &["unknown key `subset`", "`forwarded`"],
    ),
    (
        "{listen: :1, to: 'tcp://a:1', forwarded: off}",
        &["carries bytes"],
    ),
    (
        "{listen: :1, to: 'http://a', forwarded: {trust: [10.0.0.1/8]}}",
        &["write `10.0.0.0/8`"],
    ),
    (
        "{listen: :1, to: 'http://a', forwarded: {trust: [10.0.0.0/33]}}",
        &["from 0 to 32"],
    ),
    (
        "{listen: :1, to: 'http://a', paths: {/a: {hedge: {}}}}",
        &["there is only one workload"],
    ),
    (
        "{listen: 'localhost:15010', to: 'http://a'}",
        &["is taken by"],
    ),
];

#[test]
fn mistakes_are_explained_at_their_place() {
    promise(async {
        let directory = tempfile::tempdir().expect("a directory");
        for (entry, phrases) in WRONG {
            let text = format!("sidecar:\n  web: {entry}\n");
            std::fs::write(directory.path().join("remora.yaml"), &text).expect("a file");
            let output = run_in(SIDECAR, directory.path(), &["check", "-c", "remora.yaml"]).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{text}{said}");
            assert!(said.contains("remora.yaml:"), "{text}{said}");
            for phrase in *phrases {
                assert!(said.contains(phrase), "{phrase}\n{text}{said}");
            }
        }
        for (arguments, phrase) in [
            (&["--listen", "9000", "--to", "http://a"][..], "`:9000`"),
            (&["--listen", ":0", "--to", "tls://a:1"], "tcp://a:1"),
            (
                &["--listen", ":0", "--to", "http://a", "--exit-with", "udp"],
                "process:NAME",
            ),
            (
                &["--listen", ":0", "--to", "http://a", "--exit-after", "1s"],
                "--exit-with",
            ),
            (&["drain", "--timeout", "5"], "5s"),
            (&["drain", "--admin", "nowhere"], "nowhere"),
            (&[], "--listen :8443"),
        ] {
            let output = run(SIDECAR, arguments).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.contains(phrase), "{arguments:?}: {said}");
        }
    });
}

#[test]
fn its_command_line_is_that_of_every_role() {
    promise(async {
        let help: &[(&[&str], &[&str])] = &[
            (
                &["--help"],
                &[
                    "--listen :8443 --to http://localhost:8080",
                    "sidecar drain",
                    "Exit codes:",
                ],
            ),
            (
                &["run", "--help"],
                &["--exit-with tcp", "curl localhost:15010/readyz"],
            ),
            (&["check", "--help"], &["sidecar check --effective"]),
            (&["explain", "--help"], &["http://localhost:8443/users"]),
            (&["drain", "--help"], &["preStop", "Exit codes:"]),
            (
                &["completions", "--help"],
                &["source <(sidecar completions bash)"],
            ),
            (
                &["completions", "bash"],
                &["_sidecar()", "exit-with", "drain"],
            ),
            (&["--version"], &["sidecar"]),
        ];
        for (arguments, phrases) in help {
            let output = run(SIDECAR, arguments).await;
            assert_eq!(output.status.code(), Some(0), "{arguments:?}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            for phrase in *phrases {
                assert!(text.contains(phrase), "{arguments:?}: {phrase}\n{text}");
            }
            let is_help = arguments.last() == Some(&"--help");
            let wide = text
                .lines()
                .find(|line| is_help && line.chars().count() > 80);
            assert_eq!(wide, None, "{arguments:?}");
        }
        let own = run(SIDECAR, &["schema"]).await;
        assert_eq!(own.stdout, ambassador::run(&["schema"]).await.stdout);
        let text = String::from_utf8_lossy(&own.stdout).into_owned();
        assert!(
            text.contains("\"forwarded\": {") && text.contains("\"trust\": {"),
            "{text}"
        );
    });
}

#[test]
fn what_a_request_would_get_is_told_offline() {
    promise(async {
        let asked = [
            "explain",
            "--listen",
            ":8443",
            "--to",
            "http://localhost:8080",
            "GET http://web.example:8443/a",
        ];
        let output = run(SIDECAR, &asked).await;
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for line in [
            "entry: default",
            "authority: web.example:8443",
            "to: http://localhost:8080",
            "  on: [connect]",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    });
}
