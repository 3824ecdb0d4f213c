//! Copies of requests reach a mirror whole, and whatever a mirror does, requests do not notice.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use remora_tests::ambassador::{Ambassador, run_in};
use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::client::{Body, Connection, Protocol, channel, get, once, post, request};
use remora_tests::config::Config;
use remora_tests::dns::{Answer, Dns};
use remora_tests::load::Load;
use remora_tests::origin::{Origin, hang, ok, status};
use remora_tests::promise::{expect, promise, until};
use remora_tests::scripted::{Scripted, ephemeral, refusing};
use remora_tests::wire::Wire;
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

/// The entry that copies for `users` go to.
const MIRROR: &[(&str, &str)] = &[("entry", "users/mirror")];

/// A request with its whole body, or what came of it before it was cut.
#[derive(Clone, Debug)]
struct Got {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
    whole: bool,
}

/// A service that keeps what it gets.
struct Keeper {
    origin: Origin,
    got: Arc<watch::Sender<Vec<Got>>>,
}

impl Keeper {
    fn start() -> Self {
        let got = Arc::new(watch::Sender::new(Vec::new()));
        let kept = Arc::clone(&got);
        let origin = Origin::start(move |request| {
            let kept = Arc::clone(&kept);
            async move {
                let got = read(request).await;
                kept.send_modify(|all| all.push(got));
                ok("kept")
            }
        });
        Self { origin, got }
    }

    /// Waits until there are so many requests, and returns them all.
    async fn got(&self, count: usize) -> Vec<Got> {
        let mut got = self.got.subscribe();
        let enough = got.wait_for(|all| all.len() >= count);
        expect("requests", enough).await.expect("it runs").clone()
    }
}

async fn read(request: Request<Incoming>) -> Got {
    let (head, mut body) = request.into_parts();
    let mut got = Got {
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: Bytes::new(),
        trailers: HeaderMap::new(),
        whole: true,
    };
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(frame)) => got.trailers = frame.into_trailers().unwrap_or_default(),
            Err(_) => {
                got.whole = false;
                break;
            }
        }
    }
    got.body = bytes.into();
    got
}

/// An entry that leads to one address, with a mirror at another.
fn mirroring(origin: SocketAddr, mirror: SocketAddr) -> String {
    format!("to: http://{origin}\nmirror: {{to: 'http://{mirror}'}}")
}

async fn fetch(ambassador: &Ambassador, request: Request<Body>) -> String {
    let reply = once(ambassador.address(), request).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

/// Waits until no copy is under way.
async fn copied(ambassador: &Ambassador) {
    ambassador
        .metric("remora_requests_in_flight", MIRROR, |count| count == 0.0)
        .await;
}

/// Some of a body that repeats nowhere.
fn bytes(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
    bytes.into()
}

#[test]
fn a_copy_is_the_request() {
    promise(async {
        for (scheme, protocol) in [
            ("http", Protocol::Http1),
            ("http", Protocol::Http2),
            ("h2c", Protocol::Http1),
            ("h2c", Protocol::Http2),
        ] {
            let (users, next) = (Keeper::start(), Keeper::start());
            let settings = format!(
                "to: http://{}\nmirror: {{to: '{scheme}://{}'}}",
                users.origin.address(),
                next.origin.address()
            );
            let ambassador = Ambassador::serving(&settings).await;
            let mut connection = Connection::open(ambassador.address(), protocol)
                .await
                .expect("open");
            let mut requests = vec![get("/a?b=c"), request("HEAD", "/"), post("/empty", "")];
            requests.extend([1, 5_000, 70_000, 900_000].map(|size| post("/sized", bytes(size))));
            requests.extend([1, 5_000, 70_000, 900_000].map(chunked));
            let count = requests.len();
            for mut request in requests {
                let name = HeaderValue::from_static("ann");
                request.headers_mut().insert("x-user", name);
                let reply = connection.fetch(request).await.expect("an answer");
                assert_eq!(reply.status, 200);
            }
            same(users.got(count).await, next.got(count).await);
            let authority = next.origin.address().to_string();
            for copy in next.origin.requests() {
                let told = copy.uri.authority().map(ToString::to_string);
                let host = copy
                    .headers
                    .get("host")
                    .map(|host| host.to_str().expect("text"));
                match copy.version {
                    Version::HTTP_2 => assert_eq!(told, Some(authority.clone())),
                    _ => assert_eq!(host, Some(&*authority)),
                }
            }
        }
    });
}

/// A POST whose length is not told, with trailers.
fn chunked(length: usize) -> Request<Body> {
    let (sender, body) = channel();
    tokio::spawn(async move {
        for piece in bytes(length).chunks(10_000) {
            let frame = Frame::data(Bytes::copy_from_slice(piece));
            let _ = sender.send(Ok(frame)).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let _ = sender.send(Ok(Frame::trailers(trailers))).await;
    });
    let mut request = request("POST", "/chunked");
    let trailer = HeaderValue::from_static("x-sum");
    request.headers_mut().insert("trailer", trailer);
    *request.body_mut() = body;
    request
}

/// Every copy is one request but for the mark and the authority, in any order.
fn same(mut own: Vec<Got>, mut copies: Vec<Got>) {
    let key = |got: &Got| (got.path.clone(), got.method.to_string(), got.body.len());
    own.sort_by_key(key);
    copies.sort_by_key(key);
    assert_eq!(own.len(), copies.len());
    for (mut own, mut copy) in own.into_iter().zip(copies) {
        assert!(own.whole && copy.whole, "{} is whole", own.path);
        assert_eq!(own.headers.remove("x-remora-mirrored"), None);
        let mark = copy.headers.remove("x-remora-mirrored");
        assert_eq!(mark, Some(HeaderValue::from_static("1")));
        for got in [&mut own, &mut copy] {
            for name in ["host", "transfer-encoding"] {
                got.headers.remove(name);
            }
        }
        assert_eq!((&own.method, &own.path), (&copy.method, &copy.path));
        assert_eq!(own.headers, copy.headers, "{}", own.path);
        assert!(own.body == copy.body, "{} has the same bytes", own.path);
        assert_eq!(own.trailers, copy.trailers, "{}", own.path);
        assert_eq!(own.trailers.len(), usize::from(own.path == "/chunked"));
    }
}

#[test]
fn a_mirror_that_hangs_or_refuses_or_fails_is_not_noticed() {
    promise(async {
        let (refusing, _held) = refusing();
        let hanging = Origin::start(|_| hang());
        let failing = Origin::start(|_| async { status(500) });
        for mirror in [refusing, hanging.address(), failing.address()] {
            let origin = Origin::start(|request| async move {
                let got = read(request).await;
                ok(got.body)
            });
            let ambassador = Ambassador::serving(&mirroring(origin.address(), mirror)).await;
            let load = Load::start(ambassador.address(), 300, |number| match number % 2 {
                0 => get("/"),
                _ => post("/", bytes(20_000)),
            });
            load.done(300).await;
            load.stop().await.assert_none_failed();
            if let Some(mirror) = [&hanging, &failing]
                .into_iter()
                .find(|origin| origin.address() == mirror)
            {
                mirror.received(300).await;
            }
        }
    });
}

#[test]
fn a_mirror_that_cannot_be_found_is_not_waited_for() {
    promise(async {
        let dns = Dns::start().await;
        dns.set("next.test", Answer::Silence);
        let origin = Origin::start(|_| async { ok("fine") });
        let settings = format!(
            "to: http://{}\nmirror: {{to: 'http://next.test'}}",
            origin.address()
        );
        let ambassador = Ambassador::launch(&Config::of(&settings).with(&dns.setting())).await;
        ambassador.ready().await;
        assert_eq!(ambassador.ask("GET", "/readyz").await.status, 200);
        let load = Load::start(ambassador.address(), 300, |_| get("/"));
        load.done(300).await;
        load.stop().await.assert_none_failed();
        let reason = [MIRROR[0], ("reason", "dns_timeout")];
        ambassador
            .metric("remora_faults_total", &reason, |count| count >= 300.0)
            .await;
    });
}

#[test]
fn a_stuck_mirror_holds_so_many_copies_and_no_more() {
    promise(async {
        let hanging = Origin::start(|_| hang());
        let origin = Origin::start(|_| async { ok("fine") });
        // Enough connections for all: none of the copies waits for one.
        let settings = mirroring(origin.address(), hanging.address());
        let settings = format!("{settings}\npool: {{connections: 4096}}");
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        for _ in 0..1_100 {
            let reply = connection.fetch(get("/")).await.expect("an answer");
            assert_eq!(reply.status, 200);
        }
        let reason = [MIRROR[0], ("reason", "connection_limit_reached")];
        ambassador
            .metric("remora_faults_total", &reason, |count| count == 100.0)
            .await;
        hanging.received(1_000).await;
        assert_eq!(hanging.count(), 1_000);
    });
}

#[test]
fn an_upload_passes_a_mirror_that_reads_nothing() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 256;
    promise(async {
        let (over, wait) = watch::channel(false);
        let (told, mut cut) = watch::channel(0);
        let stuck = Scripted::start(move |mut wire, _| {
            let (mut wait, told) = (wait.clone(), told.clone());
            async move {
                let _ = wire.head().await;
                let _ = wait.wait_for(|over| *over).await;
                let (rest, _) = wire.rest().await;
                told.send_replace(rest.len());
            }
        });
        let origin = Origin::start(|request| async move {
            let mut body = request.into_body();
            let mut count = 0;
            while let Some(Ok(frame)) = body.frame().await {
                count += frame.data_ref().map_or(0, Bytes::len);
            }
            ok(count.to_string())
        });
        let settings = mirroring(origin.address(), stuck.address());
        let ambassador = Ambassador::serving(&settings).await;
        fetch(&ambassador, post("/", "warm")).await;
        let before = ambassador.memory();
        let (sender, body) = channel();
        let mut upload = request("PUT", "/");
        let length = HeaderValue::from(PIECE * PIECES);
        upload.headers_mut().insert("content-length", length);
        *upload.body_mut() = body;
        let address = ambassador.address();
        let reply = tokio::spawn(once(address, upload));
        for number in 0..PIECES {
            let frame = Ok(Frame::data(bytes(PIECE)));
            let sent = expect("room for a frame", sender.send(frame)).await;
            sent.expect("taken");
            if number % 32 == 0 {
                let now = ambassador.memory().resident;
                assert!(now <= before.resident + (48 << 20), "{now} bytes resident");
            }
        }
        drop(sender);
        let reply = expect("an answer", reply).await.expect("a task");
        assert_eq!(
            reply.expect("an answer").text(),
            (PIECE * PIECES).to_string()
        );
        over.send_replace(true);
        let got = expect("the copy's end", cut.wait_for(|got| *got > 0)).await;
        let got = *got.expect("it runs");
        assert!(got < PIECE * PIECES, "{got} bytes are not the whole");
        let code = [MIRROR[0], ("code", "499")];
        ambassador
            .metric("remora_requests_total", &code, |count| count >= 1.0)
            .await;
    });
}

#[test]
fn a_request_that_is_cut_has_a_copy_that_is_cut() {
    promise(async {
        let (users, next) = (Keeper::start(), Keeper::start());
        let settings = mirroring(users.origin.address(), next.origin.address());
        let ambassador = Ambassador::serving(&settings).await;
        for framing in ["content-length: 100", "transfer-encoding: chunked"] {
            let mut wire = Wire::connect(ambassador.address()).await;
            let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
            wire.send(head).await.expect("sent");
            wire.send("4\r\nabcd\r\n").await.expect("sent");
            let count = next.origin.count() + 1;
            next.origin.received(count).await;
            wire.reset();
        }
        for got in next.got(2).await {
            assert!(!got.whole, "{got:?}");
        }
        copied(&ambassador).await;
    });
}

#[test]
fn a_share_is_copied() {
    promise(async {
        let [users, next] = [(); 2].map(|()| Origin::start(|_| async { ok("fine") }));
        let settings = format!(
            "to: http://{}\nmirror: {{to: 'http://{}', share: 30%}}",
            users.address(),
            next.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        for _ in 0..1_000 {
            connection.fetch(get("/")).await.expect("an answer");
        }
        copied(&ambassador).await;
        let count = next.count();
        assert!((200..400).contains(&count), "{count} of 1000");
        assert_eq!(users.count(), 1_000);
    });
}

#[test]
fn what_is_repeated_or_made_up_is_copied_once() {
    promise(async {
        let failing = [(); 2].map(|()| Origin::start(|_| async { status(503) }));
        let [users, next] = failing;
        let settings = format!(
            "{}\nretry: {{attempts: 2, budget: 100%, methods: [GET, POST]}}\nhedge: {{after: 1ms}}\n\
             paths: {{/made-up: {{inject: {{abort: {{share: 100%}}}}}}}}",
            mirroring(users.address(), next.address())
        );
        let ambassador = Ambassador::serving(&settings).await;
        for request in [get("/"), post("/", bytes(50_000)), get("/made-up")] {
            let reply = once(ambassador.address(), request)
                .await
                .expect("an answer");
            assert_eq!(reply.status, 503);
        }
        next.received(3).await;
        let code = [MIRROR[0], ("code", "503")];
        ambassador
            .metric("remora_requests_total", &code, |count| count == 3.0)
            .await;
        assert!(users.count() >= 6);
        // What the mirror fails is not sent to it again.
        assert_eq!(next.count(), 3);
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_retries_total", MIRROR), 0.0);
    });
}

#[test]
fn a_websocket_is_not_copied() {
    promise(async {
        let listener = TcpListener::bind(ephemeral()).await.expect("a port");
        let origin = listener.local_addr().expect("a bound socket");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        let next = Origin::start(|_| async { ok("fine") });
        let ambassador = Ambassador::serving(&mirroring(origin, next.address())).await;
        let url = format!("ws://{}/chat", ambassador.address());
        let connected = expect("a handshake", tokio_tungstenite::connect_async(url)).await;
        let (mut socket, _) = connected.expect("a WebSocket");
        socket.send(Message::text("hello")).await.expect("sent");
        let reply = expect("an echo", socket.next()).await.expect("open");
        assert_eq!(reply.expect("a message"), Message::text("hello"));
        socket.close(None).await.expect("closed");
        assert_eq!(ambassador.logged("/chat").await["status"], 101);
        // A request after it is copied, so that nothing is on its way any more.
        let _ = once(ambassador.address(), get("/after")).await;
        next.received(1).await;
        assert_eq!(next.requests()[0].uri.path(), "/after");
    });
}

async fn echo(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[test]
fn a_path_has_a_mirror_of_its_own_or_none() {
    promise(async {
        let all = [(); 3].map(|()| Origin::start(|_| async { ok("fine") }));
        let [users, next, reports] = all;
        let settings = format!(
            "{}\npaths: {{/reports: {{mirror: {{to: 'http://{}'}}}}, /secret: {{mirror: off}}, /quick: {{retry: off}}}}",
            mirroring(users.address(), next.address()),
            reports.address()
        );
        let ambassador = Ambassador::serving(&settings).await;
        for path in ["/secret/1", "/reports/1", "/quick/1", "/"] {
            fetch(&ambassador, get(path)).await;
        }
        let paths = |origin: &Origin| {
            let requests = origin.requests().into_iter();
            let mut paths: Vec<String> = requests.map(|r| r.uri.path().to_owned()).collect();
            paths.sort();
            paths
        };
        next.received(2).await;
        reports.received(1).await;
        assert_eq!(paths(&users).len(), 4);
        assert_eq!(paths(&next), ["/", "/quick/1"]);
        assert_eq!(paths(&reports), ["/reports/1"]);
        let entry = [("entry", "users/mirror/reports")];
        ambassador
            .metric("remora_requests_total", &entry, |count| count == 1.0)
            .await;
    });
}

#[test]
fn a_mirror_that_leads_back_is_no_loop() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let (own, _held) = refusing();
        let settings = format!("listen: {own}\n{}", mirroring(origin.address(), own));
        let ambassador = Ambassador::serving(&settings).await;
        for _ in 0..10 {
            fetch(&ambassador, get("/")).await;
        }
        let code = [MIRROR[0], ("code", "200")];
        ambassador
            .metric("remora_requests_total", &code, |count| count == 10.0)
            .await;
        assert_eq!(origin.count(), 20);
    });
}

#[test]
fn a_reload_moves_the_mirror_and_loses_nothing() {
    promise(async {
        let all = [(); 3].map(|()| Origin::start(|_| async { ok("fine") }));
        let [users, first, second] = all;
        let (own, _held) = refusing();
        let config = |more: &str| {
            let to = users.address();
            Config::of(&format!("listen: {own}\nto: http://{to}\nmirror: {more}"))
        };
        let at = |origin: &Origin| format!("{{to: 'http://{}'}}", origin.address());
        let ambassador = Ambassador::start(&config(&at(&first))).await;
        let load = Load::start(ambassador.address(), 300, |_| get("/"));
        let reload = async |more: &str| {
            ambassador.rewrite(&config(more).text());
            let reply = ambassador.ask("POST", "/reload").await;
            assert!(reply.status.is_success(), "{}", reply.text());
            load.done_more(20).await;
        };
        for round in 1..=5 {
            first.received(round * 10).await;
            reload(&at(&second)).await;
            second.received(round * 10).await;
            reload("off").await;
            copies_stop(&ambassador, &[&first, &second], &load).await;
            reload(&at(&first)).await;
        }
        load.stop().await.assert_none_failed();
        let metrics = ambassador.metrics().await;
        assert!(metrics.has("remora_requests_total", MIRROR));
    });
}

/// What was under way before a reload may still arrive; then nothing more does.
async fn copies_stop(ambassador: &Ambassador, mirrors: &[&Origin], load: &Load) {
    let metrics = ambassador.metrics().await;
    assert!(!metrics.has("remora_requests_total", MIRROR));
    let count = || mirrors.iter().map(|mirror| mirror.count()).sum::<usize>();
    until("an end of the copies", async || {
        let before = count();
        load.done_more(20).await;
        (count() == before).then_some(())
    })
    .await;
}

#[test]
fn a_mirror_is_seen_as_an_entry_of_its_own() {
    promise(async {
        let users = Origin::start(|_| async { ok("fine") });
        let next = Origin::start(|_| async { ok("thrown away") });
        let settings = mirroring(users.address(), next.address());
        let ambassador = Ambassador::serving(&settings).await;
        assert_eq!(fetch(&ambassador, post("/x", "12345")).await, "fine");
        let logged = |line: &serde_json::Value| line["entry"] == "users/mirror";
        let line = ambassador.access.find("the copy's line", logged).await;
        assert_eq!(
            (&line["path"], &line["status"]),
            (&"/x".into(), &200.into())
        );
        assert_eq!(line["bytes_received"], 5);
        assert_eq!(line["bytes_sent"], 11);
        assert_eq!(line["endpoint"], next.address().to_string());
        assert!(line["client"].is_null());
        let metrics = ambassador.metrics().await;
        for (name, wanted) in [
            ("remora_requests_total", 1.0),
            ("remora_tries_total", 1.0),
            ("remora_endpoints", 1.0),
            ("remora_upstream_connections", 1.0),
            ("remora_downstream_connections_total", 0.0),
        ] {
            assert_eq!(metrics.sum(name, MIRROR), wanted, "{name}");
        }
        let own = [("entry", "users")];
        assert_eq!(metrics.sum("remora_requests_total", &own), 1.0);
        let shown = ambassador.ask("GET", "/config").await.text();
        let wanted = format!(
            "    mirror:\n      to: http://{}\n      share: 100%\n      discover: static\n",
            next.address()
        );
        assert!(shown.contains(&wanted), "{shown}");
        assert!(!shown.contains("users/mirror"), "{shown}");
    });
}

#[test]
fn a_mirror_is_no_entry_of_the_file() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        let config = "ambassador: {users: {listen: 'localhost:9000', to: 'http://users', mirror: {to: 'http://next'}}}";
        place(folder.path(), "remora.yaml", config);
        let output = run_in(folder.path(), &["check", "-c", "remora.yaml"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "ok: 1 entry\n");
    });
}

#[test]
fn copies_do_not_hold_up_a_drain() {
    promise(async {
        let hanging = Origin::start(|_| hang());
        let origin = Origin::start(|_| async { ok("fine") });
        let settings = mirroring(origin.address(), hanging.address());
        let config = Config::of(&settings).with("drain: {timeout: 20s}");
        let mut ambassador = Ambassador::start(&config).await;
        fetch(&ambassador, get("/")).await;
        hanging.received(1).await;
        ambassador.signal(Signal::TERM);
        assert_eq!(
            ambassador.exit().await.code(),
            Some(0),
            "nothing was cut off"
        );
    });
}

#[test]
fn a_mirror_has_tls_of_its_own() {
    promise(async {
        let authority = Authority::new("the next cluster");
        let folder = tempfile::tempdir().expect("a folder");
        let ca = place(folder.path(), "ca.pem", &authority.pem());
        let pair = authority.issue(&["127.0.0.1"], Validity::Now);
        let next = Origin::secured(pair.server(&["h2"], None), |_| async { ok("next") });
        let users = Origin::start(|_| async { ok("fine") });
        let settings = format!(
            "to: http://{}\nmirror: {{to: 'https://{}', tls: {{ca: {}}}}}",
            users.address(),
            next.address(),
            ca.display()
        );
        let ambassador = Ambassador::serving(&settings).await;
        assert_eq!(fetch(&ambassador, get("/")).await, "fine");
        let copies = next.received(1).await;
        assert_eq!(copies[0].version, Version::HTTP_2);
    });
}

#[test]
fn an_answer_without_an_end_does_not_matter() {
    promise(async {
        let (held, body) = watch::channel(None);
        let next = Origin::start(move |_| {
            let (sender, body) = channel();
            held.send_replace(Some(sender));
            async move { Response::new(body) }
        });
        let origin = Origin::start(|_| async { ok("fine") });
        let settings = mirroring(origin.address(), next.address());
        let ambassador = Ambassador::serving(&settings).await;
        fetch(&ambassador, get("/")).await;
        next.received(1).await;
        let sender = body.borrow().clone().expect("a body");
        // It is read, whoever waits for it.
        for _ in 0..100 {
            let frame = Ok(Frame::data(Bytes::from(vec![7; 1 << 20])));
            let sent = expect("room for a frame", sender.send(frame)).await;
            sent.expect("taken");
        }
        assert_eq!(fetch(&ambassador, get("/")).await, "fine");
    });
}
