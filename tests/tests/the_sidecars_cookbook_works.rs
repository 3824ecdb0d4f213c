//! Every recipe of the sidecar's cookbook is a file that checks clean, starts, and does what its text says.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderName, HeaderValue, Request, Response};
use remora_tests::callers::Caller;
use remora_tests::certificates::{Authority, Pair, Validity, place};
use remora_tests::client::{Body, Connection, Protocol, full, get, once, post, request};
use remora_tests::cookbook::{HOSTS, Recipe, Stage, folder, hosts, housed, recipes_of, secure_as};
use remora_tests::local::Local;
use remora_tests::origin::{Origin, hang, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{Proxy, SIDECAR, run, run_in};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;

/// The host that callers of most recipes ask for.
const SHOP: &str = "shop.example";

/// One test for each recipe, and the list of the recipes that have one.
macro_rules! probes {
    ($($probe:ident: $title:literal,)*) => {
        const PROBED: &[&str] = &[$($title),*];
        $(
            #[test]
            fn $probe() {
                promise(async { probes::$probe(Stage::of_role(SIDECAR, $title).await).await });
            }
        )*
    };
}

probes! {
    plain: "TLS before a plain workload",
    required: "Callers with a certificate only",
    doors: "A public port and an internal one",
    names: "Two hosts with a certificate each",
    secret: "A Kubernetes Secret that is renewed",
    grpc: "A gRPC workload",
    socket: "A workload on a Unix socket",
    redis: "Redis in TLS",
    drain: "A pod that ends without losing a call",
    job: "The pod of a Job",
    limit: "No more than the workload bears",
    balanced: "Behind a load balancer",
    shadow: "The next version in the shadow",
}

#[test]
fn every_recipe_has_a_probe_a_text_and_a_command() {
    let recipes = recipes_of(SIDECAR);
    let titles: Vec<&str> = recipes.iter().map(|recipe| &*recipe.title).collect();
    assert_eq!(titles, PROBED, "the recipes, and those that have a probe");
    for Recipe { title, prose, .. } in &recipes {
        let sentences = prose.matches(['.', ':']).count();
        assert!(sentences >= 2, "{title} says too little:\n{prose}");
        let command = prose.lines().any(|line| line.starts_with("    "));
        assert!(command, "{title} shows no command");
    }
}

#[test]
fn every_recipe_checks_clean_as_it_is_written() {
    promise(async {
        let folder = folder();
        for Recipe { title, text, .. } in recipes_of(SIDECAR) {
            place(folder.path(), "remora.yaml", &housed(&text, folder.path()));
            let arguments = ["check", "-c", "remora.yaml"];
            let output = run_in(SIDECAR, folder.path(), &arguments).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{title}: {said}");
        }
    });
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    let value = HeaderValue::from_str(value).expect("a value");
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, value);
    request
}

fn named(name: &'static str) -> Origin {
    Origin::start(move |_| async move { ok(name) })
}

/// The recipe's files of TLS, of an authority whose callers ask for [`SHOP`].
fn issued(stage: &Stage) -> (Authority, Caller) {
    let authority = Authority::new("the cluster");
    secure_as(stage.folder.path(), &authority, &[SHOP]);
    let caller = Caller::trusting(&authority, SHOP);
    (authority, caller)
}

/// The text of the answer to a GET of `/` without TLS.
async fn text(sidecar: &Proxy) -> String {
    let reply = once(sidecar.address(), get("/")).await;
    reply.expect("an answer").text()
}

async fn ready(sidecar: &Proxy, wanted: u16, words: &str) {
    until(&format!("readiness {wanted}"), async || {
        let reply = sidecar.ask("GET", "/readyz").await;
        let said = (reply.status.as_u16(), reply.text());
        (said.0 == wanted && said.1.contains(words)).then_some(())
    })
    .await;
}

/// Waits for so many handshakes with this result at an entry.
async fn shaken(sidecar: &Proxy, entry: &str, result: &str) {
    let labels = [("entry", entry), ("result", result)];
    let name = "remora_tls_handshakes_total";
    sidecar.metric(name, &labels, |count| count == 1.0).await;
}

/// What each recipe promises.
mod probes {
    use super::*;

    pub(super) async fn plain(mut stage: Stage) {
        let (_, caller) = issued(&stage);
        let origin = named("plain");
        stage.stand_before(8080, origin.address());
        let sidecar = stage.start().await;
        for alpn in ["h2", "http/1.1"] {
            let caller = caller.clone().offering(&[alpn]);
            let reply = caller.fetch(sidecar.address(), get("/")).await;
            assert_eq!(reply.expect("an answer").text(), "plain");
        }
        for asked in origin.received(2).await {
            assert_eq!(asked.headers["x-forwarded-proto"], "https");
            assert_eq!(asked.headers["host"], SHOP);
        }
    }

    pub(super) async fn required(mut stage: Stage) {
        let (authority, caller) = issued(&stage);
        let origin = named("fine");
        stage.stand_before(8080, origin.address());
        let sidecar = stage.start().await;
        let refused = caller.fetch(sidecar.address(), get("/")).await;
        assert!(refused.is_err(), "{refused:?}");
        shaken(&sidecar, "web", "no-certificate").await;
        let foreign = Authority::new("another").issue(&["ann"], Validity::Now);
        let foreign = caller.clone().bearing(&foreign);
        let refused = foreign.fetch(sidecar.address(), get("/")).await;
        assert!(refused.is_err(), "{refused:?}");
        shaken(&sidecar, "web", "unknown-ca").await;
        assert_eq!(origin.count(), 0);
        let ann = caller.bearing(&authority.issue(&["ann"], Validity::Now));
        let made_up = with(get("/"), "client-cert", ":bWFkZSB1cA==:");
        let reply = ann.fetch(sidecar.address(), made_up).await;
        assert_eq!(reply.expect("an answer").text(), "fine");
        let told = &origin.received(1).await[0].headers["client-cert"];
        assert!(told.to_str().is_ok_and(|told| told.starts_with(":MII")));
    }

    pub(super) async fn doors(mut stage: Stage) {
        let (authority, caller) = issued(&stage);
        let (public, internal) = (named("public"), named("internal"));
        stage.stand_before(8080, public.address());
        stage.stand_before(9090, internal.address());
        let sidecar = stage.start().await;
        let ann = caller
            .clone()
            .bearing(&authority.issue(&["ann"], Validity::Now));
        for (caller, is_named) in [(&caller, false), (&ann, true)] {
            let address = sidecar.address_of("public").await;
            let before = public.count();
            let reply = caller.fetch(address, get("/")).await.expect("an answer");
            assert_eq!(reply.text(), "public");
            let asked = &public.received(before + 1).await[before];
            assert_eq!(asked.headers.contains_key("client-cert"), is_named);
        }
        let address = sidecar.address_of("internal").await;
        let refused = caller.fetch(address, get("/")).await;
        assert!(refused.is_err(), "{refused:?}");
        let reply = ann.fetch(address, get("/")).await.expect("an answer");
        assert_eq!(reply.text(), "internal");
        assert_eq!(internal.count(), 1);
    }

    pub(super) async fn names(mut stage: Stage) {
        let authority = Authority::new("the cluster");
        hosts(stage.folder.path(), &authority);
        let origin = named("fine");
        stage.stand_before(8080, origin.address());
        let sidecar = stage.start().await;
        for (host, number) in HOSTS.into_iter().zip(1..) {
            // That the certificate bears the name is what the caller sees to.
            let caller = Caller::trusting(&authority, host);
            let reply = caller.fetch(sidecar.address(), get("/")).await;
            assert_eq!(reply.expect("an answer").status, 200);
            let asked = &origin.received(number).await[number - 1];
            assert_eq!(asked.headers["host"], host);
        }
        let new = authority.issue(&["new.example"], Validity::Now);
        let hosts = stage.folder.path().join("hosts");
        place(&hosts, "new.example.key", &new.key);
        place(&hosts, "new.example.crt", &new.cert);
        let caller = Caller::trusting(&authority, "new.example");
        until("the new certificate", async || {
            caller.fetch(sidecar.address(), get("/")).await.ok()
        })
        .await;
    }

    /// A folder as the kubelet mounts a Secret: files are links into a folder that is swapped.
    fn mount(folder: &Path, name: &str, pair: &Pair) {
        let version = folder.join(name);
        std::fs::create_dir(&version).expect("a folder");
        place(&version, "tls.crt", &pair.cert);
        place(&version, "tls.key", &pair.key);
        let new = folder.join("..data_tmp");
        std::os::unix::fs::symlink(name, &new).expect("a link");
        std::fs::rename(new, folder.join("..data")).expect("a link in its place");
    }

    pub(super) async fn secret(mut stage: Stage) {
        let folder = stage.folder.path().join("tls");
        std::fs::remove_dir_all(&folder).expect("a folder");
        std::fs::create_dir(&folder).expect("a folder");
        let [old, new] = ["old", "new"].map(Authority::new);
        mount(&folder, "..1", &old.issue(&[SHOP], Validity::Now));
        for file in ["tls.crt", "tls.key"] {
            let data = Path::new("..data").join(file);
            std::os::unix::fs::symlink(data, folder.join(file)).expect("a link");
        }
        let origin = named("fine");
        stage.stand_before(8080, origin.address());
        let sidecar = stage.start().await;
        ready(&sidecar, 200, "ready").await;
        let [before, after] = [&old, &new].map(|own| Caller::trusting(own, SHOP));
        before
            .fetch(sidecar.address(), get("/"))
            .await
            .expect("an answer");
        mount(&folder, "..2", &new.issue(&[SHOP], Validity::Now));
        until("the new certificate", async || {
            after.fetch(sidecar.address(), get("/")).await.ok()
        })
        .await;
        let refused = before.fetch(sidecar.address(), get("/")).await;
        assert!(refused.is_err(), "the old one is shown no more");
        // What cannot be used changes nothing.
        let mut nonsense = new.issue(&[SHOP], Validity::Now);
        nonsense.key = "nonsense".to_owned();
        mount(&folder, "..3", &nonsense);
        sidecar
            .log
            .find("a remark", |line| line.to_string().contains("tls.key"))
            .await;
        after
            .fetch(sidecar.address(), get("/"))
            .await
            .expect("an answer");
    }

    /// An answer of gRPC with this message.
    fn grpc_answer(message: &'static [u8]) -> Response<Body> {
        let mut frame = vec![0];
        let length = u32::try_from(message.len()).expect("a short message");
        frame.extend(length.to_be_bytes());
        frame.extend(message);
        let mut response = Response::new(full(frame));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static("0"));
        response
    }

    pub(super) async fn grpc(mut stage: Stage) {
        let (_, caller) = issued(&stage);
        let serving = Arc::new(AtomicBool::new(false));
        let serves = Arc::clone(&serving);
        let mut origin = Origin::start(move |request| {
            let serves = serves.load(Ordering::SeqCst);
            async move {
                match request.uri().path() {
                    // A `HealthCheckResponse`: SERVING is 1, NOT_SERVING 2.
                    "/grpc.health.v1.Health/Check" if serves => grpc_answer(&[8, 1]),
                    "/grpc.health.v1.Health/Check" => grpc_answer(&[8, 2]),
                    _ => grpc_answer(&[]),
                }
            }
        });
        stage.stand_before(50051, origin.address());
        let sidecar = stage.launch(&[]).await;
        ready(&sidecar, 503, "not serving").await;
        serving.store(true, Ordering::SeqCst);
        ready(&sidecar, 200, "ready").await;
        let caller = caller.offering(&["h2"]);
        let call = || {
            let call = post("/ledger.Ledger/Balance", vec![0; 5]);
            with(call, "content-type", "application/grpc")
        };
        let reply = caller.fetch(sidecar.address(), call()).await;
        assert_eq!(reply.expect("an answer").header("grpc-status"), "0");
        origin.kill().await;
        let reply = caller
            .fetch(sidecar.address(), call())
            .await
            .expect("an answer");
        assert_eq!(
            (reply.status.as_u16(), reply.header("grpc-status")),
            (200, "14")
        );
        assert!(
            reply.header("grpc-message").contains("refused"),
            "{:?}",
            reply.headers
        );
    }

    pub(super) async fn socket(stage: Stage) {
        let path = stage.folder.path().join("app.sock");
        let sidecar = stage.launch(&[]).await;
        let said = format!("there is no socket unix:{}", path.display());
        ready(&sidecar, 503, &said).await;
        let reply = once(sidecar.address(), get("/")).await.expect("an answer");
        assert!(
            reply.header("proxy-status").contains(&said),
            "{:?}",
            reply.headers
        );
        let _workload = Local::http(&path, |_| async { ok("fine") });
        ready(&sidecar, 200, "ready").await;
        assert_eq!(text(&sidecar).await, "fine");
    }

    pub(super) async fn redis(mut stage: Stage) {
        let (authority, caller) = issued(&stage);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        stage.stand_before(6379, listener.local_addr().expect("a port"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (reader, mut writer) = stream.into_split();
                    let mut lines = BufReader::new(reader).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        let answer = if line == "PING" { "+PONG" } else { "-ERR" };
                        let _ = writer.write_all(format!("{answer}\r\n").as_bytes()).await;
                    }
                });
            }
        });
        let sidecar = stage.start().await;
        ready(&sidecar, 200, "ready").await;
        let own = authority.issue(&["me"], Validity::Now);
        let stream = caller
            .clone()
            .bearing(&own)
            .connect(sidecar.address())
            .await;
        let mut stream = BufReader::new(stream.expect("TLS"));
        stream.write_all(b"PING\r\n").await.expect("sent");
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("a line");
        assert_eq!(line, "+PONG\r\n");
        let mut nameless = match caller.connect(sidecar.address()).await {
            // With TLS 1.3 the caller's side of the handshake is over before it is refused.
            Ok(stream) => BufReader::new(stream),
            Err(_) => return,
        };
        let ended = nameless.read_line(&mut line).await;
        assert!(ended.is_err(), "{line}");
    }

    pub(super) async fn drain(mut stage: Stage) {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let origin = Origin::start(move |request| {
            let held = Arc::clone(&held);
            async move {
                if request.uri().path() == "/report" {
                    let _open = held.acquire().await;
                }
                ok("fine")
            }
        });
        stage.stand_before(8080, origin.address());
        let mut sidecar = stage.start().await;
        ready(&sidecar, 200, "ready").await;
        let mut connection = Connection::open(sidecar.address(), Protocol::Http1)
            .await
            .expect("open");
        let flight = tokio::spawn(async move { connection.fetch(get("/report")).await });
        let asked = |path: &'static str| {
            let origin = &origin;
            until(path, async move || {
                let requests = origin.requests();
                let mut paths = requests.iter().map(|request| request.uri.path());
                paths.any(|own| own == path).then_some(())
            })
        };
        asked("/report").await;
        let admin = sidecar.admin().await.to_string();
        let hook = tokio::spawn(async move {
            run(SIDECAR, &["drain", "--admin", &admin, "--timeout", "30s"]).await
        });
        ready(&sidecar, 503, "draining").await;
        assert_eq!(text(&sidecar).await, "fine", "it serves on");
        until("a closed door", async || {
            tokio::net::TcpStream::connect(sidecar.address())
                .await
                .err()
        })
        .await;
        gate.add_permits(1);
        let reply = flight.await.expect("a task").expect("an answer");
        assert_eq!(reply.text(), "fine");
        assert_eq!(sidecar.exit().await.code(), Some(0));
        assert_eq!(hook.await.expect("a task").status.code(), Some(0));
    }

    pub(super) async fn job(mut stage: Stage) {
        let (_, caller) = issued(&stage);
        let mut origin = named("fine");
        stage.stand_before(8080, origin.address());
        let flags = ["--exit-with", "tcp", "--exit-after", "100ms"];
        let mut sidecar = stage.launch(&flags).await;
        let reply = caller.fetch(sidecar.address(), get("/")).await;
        assert_eq!(reply.expect("an answer").text(), "fine");
        sidecar
            .log
            .find("the workload", |line| {
                line["message"] == "the workload runs"
            })
            .await;
        origin.kill().await;
        assert_eq!(sidecar.exit().await.code(), Some(0));
    }

    pub(super) async fn limit(mut stage: Stage) {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let origin = Origin::start(move |_| {
            let held = Arc::clone(&held);
            async move {
                let _open = held.acquire().await;
                ok("done")
            }
        });
        stage.stand_before(8080, origin.address());
        let sidecar = stage.start().await;
        let mut connection = Connection::open(sidecar.address(), Protocol::Http2)
            .await
            .expect("open");
        let mut begin = || connection.begin(request("POST", "/")).expect("begun");
        let first: Vec<_> = (0..8).map(|_| tokio::spawn(begin())).collect();
        origin.received(8).await;
        for _ in 0..3 {
            let reply = begin().await.expect("an answer");
            let said = (reply.status.as_u16(), reply.proxy_error());
            assert_eq!(said, (503, "connection_limit_reached"));
        }
        assert_eq!(origin.count(), 8);
        gate.add_permits(8);
        for reply in first {
            let reply = reply.await.expect("a task").expect("an answer");
            assert_eq!(reply.text(), "done");
        }
    }

    pub(super) async fn balanced(mut stage: Stage) {
        let origin = named("fine");
        stage.stand_before(8080, origin.address());
        let claim = || with(get("/"), "forwarded", "for=203.0.113.7;proto=https");
        let stranger = stage.start().await;
        once(stranger.address(), claim()).await.expect("an answer");
        stage.replace("10.0.0.0/8", "127.0.0.0/8");
        let trusted = stage.start().await;
        once(trusted.address(), claim()).await.expect("an answer");
        let asked = origin.received(2).await;
        let told = |number: usize| {
            let told = &asked[number].headers["forwarded"];
            told.to_str().expect("text").to_owned()
        };
        let own = "for=127.0.0.1;host=users.test;proto=http";
        assert_eq!(told(0), own);
        assert_eq!(told(1), format!("for=203.0.113.7;proto=https, {own}"));
    }

    pub(super) async fn shadow(mut stage: Stage) {
        let (present, next) = (named("now"), Origin::start(|_| hang()));
        stage.stand_before(8080, present.address());
        stage.stand_before(8081, next.address());
        let sidecar = stage.start().await;
        let mut connection = Connection::open(sidecar.address(), Protocol::Http1)
            .await
            .expect("open");
        for path in ["/users", "/payments"].repeat(10) {
            let reply = connection.fetch(get(path)).await.expect("an answer");
            assert_eq!(reply.text(), "now");
        }
        for copy in next.received(10).await {
            assert_eq!(copy.uri.path(), "/users");
            assert_eq!(copy.headers["x-remora-mirrored"], "1");
        }
        assert_eq!((present.count(), next.count()), (20, 10));
    }
}
