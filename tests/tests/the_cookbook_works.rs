//! Every recipe of the cookbook is a file that checks clean, starts, and does what its text says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Request, Response};
use remora_tests::ambassador::{Ambassador, run_in};
use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::client::{Body, Connection, Protocol, Reply, get, once, post, request};
use remora_tests::cookbook::{Recipe, Stage, folder, housed, recipes, secure};
use remora_tests::dns::Answer;
use remora_tests::origin::{Origin, hang, ok, slow, status};
use remora_tests::promise::{promise, until};
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;
use serde_json::Value;
use tokio::net::TcpStream;

/// One test for each recipe, and the list of the recipes that have one.
macro_rules! probes {
    ($($probe:ident: $title:literal,)*) => {
        const PROBED: &[&str] = &[$($title),*];
        $(
            #[test]
            fn $probe() {
                promise(async { probes::$probe(Stage::of($title).await).await });
            }
        )*
    };
}

probes! {
    one_service: "One service",
    replicas: "Replicas behind a headless Service",
    canary: "A canary with five percent",
    grpc: "gRPC with deadlines",
    mutual_tls: "Mutual TLS",
    affinity: "The same user at the same replica",
    srv: "A primary and a standby from SRV records",
    file: "Endpoints that another program writes",
    paths: "Quick calls and slow reports",
    fragile: "A fragile service",
    postgres: "PostgreSQL over TCP",
    shadow: "The next version in the shadow",
    faults: "Faults on purpose",
}

#[test]
fn every_recipe_has_a_probe_a_text_and_a_command() {
    let recipes = recipes();
    assert!(recipes.len() >= 10, "there are {} recipes", recipes.len());
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
        for Recipe { title, text, .. } in recipes() {
            place(folder.path(), "remora.yaml", &housed(&text, folder.path()));
            let output = run_in(folder.path(), &["check", "-c", "remora.yaml"]).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{title}: {said}");
        }
    });
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    let value = HeaderValue::from_str(value).expect("a value");
    request
        .headers_mut()
        .insert(HeaderName::from_static(name), value);
    request
}

async fn fetch(ambassador: &Ambassador, request: Request<Body>) -> Reply {
    let reply = once(ambassador.address(), request).await;
    reply.expect("an answer")
}

/// The answer to a GET of `/`, which must be 200.
async fn text(ambassador: &Ambassador) -> String {
    let reply = fetch(ambassador, get("/")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

fn named(name: &'static str) -> Origin {
    Origin::start(move |_| async move { ok(name) })
}

/// What each recipe promises.
mod probes {
    use super::*;

    pub(super) async fn one_service(mut stage: Stage) {
        let first = AtomicBool::new(true);
        let origin = Origin::start(move |_| {
            let fails = first.swap(false, Ordering::SeqCst);
            async move { if fails { status(503) } else { ok("ann") } }
        });
        stage.lead("users.default", &[origin.address()]);
        let ambassador = stage.start().await;
        let reply = fetch(&ambassador, get("/users/7")).await;
        assert_eq!((reply.status.as_u16(), &*reply.text()), (200, "ann"));
        let asked = &origin.received(2).await[1];
        let authority = format!("users.default:{}", origin.address().port());
        assert_eq!(asked.headers["host"], *authority);
        assert_eq!(asked.uri.path(), "/users/7");
    }

    pub(super) async fn replicas(mut stage: Stage) {
        let origins = Origin::replicas(3, |request| {
            let own = request.extensions().get::<SocketAddr>();
            let ill = own.is_some_and(|own| own.ip() == IpAddr::from([127, 0, 0, 3]));
            let fails = ill && request.uri().path() == "/healthz";
            async move { if fails { status(503) } else { ok("fine") } }
        });
        stage.lead_to("users.default.svc.cluster.local", &origins);
        let ambassador = stage.start().await;
        let unhealthy = [("state", "unhealthy")];
        ambassador
            .metric("remora_endpoints", &unhealthy, |count| count == 1.0)
            .await;
        for _ in 0..40 {
            text(&ambassador).await;
        }
        let [first, second, third] = [0, 1, 2].map(|replica| called(&origins[replica]));
        assert!(
            first > 0 && second == 0 && third > 0,
            "{first} {second} {third}"
        );
    }

    /// How many requests came that were no checks.
    fn called(origin: &Origin) -> usize {
        let requests = origin.requests();
        requests
            .iter()
            .filter(|request| request.uri.path() == "/")
            .count()
    }

    pub(super) async fn canary(mut stage: Stage) {
        let (stable, canary) = (named("stable"), named("canary"));
        stage.lead("users-stable.default", &[stable.address()]);
        stage.lead("users-canary.default", &[canary.address()]);
        let ambassador = stage.start().await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        for _ in 0..400 {
            let reply = connection.fetch(get("/")).await.expect("an answer");
            assert_eq!(reply.status, 200);
        }
        let share = canary.count();
        assert!((19..=21).contains(&share), "{share} of 400");
    }

    /// An answer of gRPC without a message.
    fn grpc_answer(code: &'static str) -> Response<Body> {
        let mut response = ok("");
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(code));
        response
    }

    pub(super) async fn grpc(mut stage: Stage) {
        let first = Arc::new(AtomicBool::new(true));
        let origins = Origin::replicas(2, move |request| {
            let first = Arc::clone(&first);
            async move {
                if request.uri().path().ends_with("/Audit") {
                    return hang().await;
                }
                let down = first.swap(false, Ordering::SeqCst);
                grpc_answer(if down { "14" } else { "0" })
            }
        });
        stage.lead_to("ledger.default", &origins);
        let ambassador = stage.start().await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        let call = |name: &str| with(post(name, ""), "content-type", "application/grpc");
        let balance = call("/ledger.Ledger/Balance");
        let reply = connection.fetch(balance).await.expect("an answer");
        assert_eq!(reply.header("grpc-status"), "0");
        let counts: Vec<_> = origins.iter().map(Origin::count).collect();
        assert_eq!(counts, [1, 1], "the retry went elsewhere");
        let audit = with(call("/ledger.Ledger/Audit"), "grpc-timeout", "200m");
        let reply = connection.fetch(audit).await.expect("an answer");
        assert_eq!(reply.header("grpc-status"), "4", "{:?}", reply.headers);
    }

    pub(super) async fn mutual_tls(mut stage: Stage) {
        let authority = Authority::new("the cluster");
        secure(stage.folder.path(), &authority);
        let server = |account: &str| {
            let id = format!("spiffe://cluster.local/ns/default/sa/{account}");
            let pair = authority.issue(&[&id], Validity::Now);
            pair.server(&["http/1.1"], Some(&authority))
        };
        let origin = Origin::secured(server("payments"), |_| async {
            let mut response = ok("paid");
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert("connection", close);
            response
        });
        stage.lead("payments.default", &[origin.address()]);
        let ambassador = stage.start().await;
        assert_eq!(text(&ambassador).await, "paid");
        origin.present(server("somebody-else"));
        let reply = fetch(&ambassador, get("/")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (502, "tls_certificate_error")
        );
        assert_eq!(origin.count(), 1);
    }

    pub(super) async fn affinity(mut stage: Stage) {
        let mut origins = Origin::replicas(4, |_| async { ok("cart") });
        stage.lead_to("carts.default", &origins);
        let ambassador = stage.start().await;
        let users: Vec<String> = (0..24).map(|user| format!("user-{user}")).collect();
        let mut homes = Vec::new();
        for user in &users {
            let home = home(&ambassador, user).await;
            for _ in 0..3 {
                assert_eq!(self::home(&ambassador, user).await, home, "{user} stays");
            }
            homes.push(home);
        }
        let gone = homes[0].clone();
        assert!(homes.iter().any(|home| *home != gone), "users are spread");
        let of = |origin: &&mut Origin| origin.address().to_string() == gone;
        let origin = origins.iter_mut().find(of).expect("a replica");
        origin.kill().await;
        for (user, home) in users.iter().zip(&homes) {
            let now = self::home(&ambassador, user).await;
            assert_eq!(now == *home, *home != gone, "only users of {gone} move");
        }
    }

    /// The endpoint that answers this user.
    async fn home(ambassador: &Ambassador, user: &str) -> String {
        let request = with(get("/cart"), "x-user", user);
        let reply = fetch(ambassador, with(request, "x-remora-explain", "1")).await;
        assert_eq!(reply.status, 200);
        let told: Value =
            serde_json::from_str(reply.header("x-remora-explain")).expect("an explanation");
        let tries = told["tries"].as_array().expect("tries");
        let last = tries.last().expect("a try");
        last["endpoint"].as_str().expect("an endpoint").to_owned()
    }

    pub(super) async fn srv(stage: Stage) {
        let (mut primary, standby) = (named("primary"), named("standby"));
        let loopback = vec![IpAddr::from([127, 0, 0, 1])];
        let service = |priority, origin: &Origin, host: &str| {
            stage.dns.set(host, Answer::Addresses(loopback.clone(), 60));
            (priority, 100, origin.address().port(), host.to_owned())
        };
        let records = vec![
            service(10, &primary, "primary.search.example"),
            service(20, &standby, "standby.search.example"),
        ];
        let name = "_http._tcp.search.example";
        stage.dns.set(name, Answer::Services(records, 60));
        let ambassador = stage.start().await;
        goes_over(&ambassador, &mut primary).await;
        let ejected = [("state", "ejected")];
        ambassador
            .metric("remora_endpoints", &ejected, |count| count == 1.0)
            .await;
        // When its five seconds are over it is asked again.
        primary.restart();
        until("an answer of the primary", async || {
            (text(&ambassador).await == "primary").then_some(())
        })
        .await;
    }

    /// All goes to the primary, and when that is gone to the standby, without a loss.
    async fn goes_over(ambassador: &Ambassador, primary: &mut Origin) {
        for _ in 0..20 {
            assert_eq!(text(ambassador).await, "primary");
        }
        primary.kill().await;
        for _ in 0..20 {
            assert_eq!(text(ambassador).await, "standby");
        }
    }

    pub(super) async fn file(stage: Stage) {
        let (mut primary, standby) = (named("primary"), named("standby"));
        let write = |text: &str| place(stage.folder.path(), "endpoints", text);
        write(&format!("{}\n", standby.address()));
        let ambassador = stage.start().await;
        assert_eq!(text(&ambassador).await, "standby");
        write("nonsense\n");
        let stale = |value: f64| value == 1.0;
        ambassador
            .metric("remora_discovery_stale", &[], stale)
            .await;
        assert_eq!(text(&ambassador).await, "standby");
        let both = format!("{}\n{} tier=1\n", primary.address(), standby.address());
        write(&both);
        until("an answer of the primary", async || {
            (text(&ambassador).await == "primary").then_some(())
        })
        .await;
        goes_over(&ambassador, &mut primary).await;
    }

    pub(super) async fn paths(mut stage: Stage) {
        let origins = Origin::replicas(2, |request| async move {
            match request.uri().path() {
                "/stuck" => hang().await,
                "/reports/7" => slow(Duration::from_millis(1500)).await,
                "/reports/8" => status(503),
                _ => ok("quick"),
            }
        });
        stage.lead_to("users.default", &origins);
        let ambassador = stage.start().await;
        let count = || origins.iter().map(Origin::count).sum::<usize>();
        assert_eq!(text(&ambassador).await, "quick");
        let before = (count(), Instant::now());
        let reply = fetch(&ambassador, get("/stuck")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.proxy_error()),
            (504, "http_response_timeout")
        );
        assert!(before.1.elapsed() >= Duration::from_millis(900));
        assert!(count() - before.0 >= 2, "a second replica had its chance");
        let before = count();
        let reply = fetch(&ambassador, get("/reports/7")).await;
        assert_eq!((reply.status.as_u16(), &*reply.text()), (200, "slow\n"));
        let reply = fetch(&ambassador, get("/reports/8")).await;
        assert_eq!((reply.status.as_u16(), reply.proxy_error()), (503, ""));
        assert_eq!(count() - before, 2, "no report was asked for twice");
    }

    pub(super) async fn fragile(mut stage: Stage) {
        let first = Arc::new(AtomicBool::new(true));
        let origins = Origin::replicas(2, move |request| {
            let first = Arc::clone(&first);
            async move {
                match request.uri().path() {
                    "/slow" => slow(Duration::from_secs(1)).await,
                    "/once-slow" if first.swap(false, Ordering::SeqCst) => hang().await,
                    "/busy" => status(503),
                    _ => ok("quick"),
                }
            }
        });
        stage.lead_to("search.default", &origins);
        let ambassador = stage.start().await;
        for _ in 0..60 {
            text(&ambassador).await;
        }
        // One request in twenty may be raced: three have been earned.
        assert_eq!(fetch(&ambassador, get("/once-slow")).await.status, 200);
        let won = [("result", "won")];
        ambassador
            .metric("remora_hedges_total", &won, |count| count >= 1.0)
            .await;
        let before = ambassador.metrics().await.sum("remora_retries_total", &[]);
        assert_eq!(fetch(&ambassador, get("/busy")).await.status, 503);
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_retries_total", &[]), before);
        let limit = metrics.sum("remora_in_flight_limit", &[]);
        let turned_away = at_once(&ambassador, 60).await;
        assert!(
            turned_away >= 10 && limit < 50.0,
            "{turned_away} of 60 at a limit of {limit}"
        );
    }

    /// How many of so many slow requests at once are turned away.
    async fn at_once(ambassador: &Ambassador, count: usize) -> usize {
        let mut connection = Connection::open(ambassador.address(), Protocol::Http2)
            .await
            .expect("open");
        let begun: Vec<_> = (0..count)
            .map(|_| connection.begin(request("POST", "/slow")).expect("begun"))
            .collect();
        let replies = futures_util::future::join_all(begun).await;
        let statuses = replies.into_iter().map(|reply| {
            let reply = reply.expect("an answer");
            (reply.status.as_u16(), reply.proxy_error().to_owned())
        });
        statuses
            .filter(|(status, why)| match status {
                200 => false,
                _ => {
                    assert_eq!((*status, &**why), (503, "connection_limit_reached"));
                    true
                }
            })
            .count()
    }

    pub(super) async fn postgres(mut stage: Stage) {
        let server = || {
            Scripted::start(|mut wire, _| async move {
                while let Ok(line) = wire.through("\n").await {
                    let _ = wire.send(format!("row of {line}")).await;
                }
            })
        };
        let (first, second) = (server(), server());
        let hosts = [0, 1].map(|number| format!("postgres-read-{number}.postgres.default"));
        stage.lead(&hosts[0], &[first.address()]);
        stage.lead(&hosts[1], &[second.address()]);
        let ambassador = stage.start().await;
        let mut wires = Vec::new();
        for _ in 0..4 {
            wires.push(answered(&ambassador).await);
        }
        // Connections of health checks end at once, those of clients stay.
        assert!(first.connections() >= 2 && second.connections() >= 2);
        let gone = first.address();
        drop(first);
        until("the end of the first replica", async || {
            TcpStream::connect(gone).await.err()
        })
        .await;
        for _ in 0..4 {
            answered(&ambassador).await;
        }
    }

    /// A connection that has carried bytes both ways.
    async fn answered(ambassador: &Ambassador) -> Wire {
        let mut wire = Wire::connect(ambassador.address()).await;
        wire.send("select 1\n").await.expect("sent");
        let row = wire.through("\n").await.expect("a row");
        assert_eq!(row, "row of select 1\n");
        wire
    }

    pub(super) async fn shadow(mut stage: Stage) {
        let (users, next) = (named("now"), Origin::start(|_| hang()));
        stage.lead("users.default", &[users.address()]);
        stage.lead("users-next.default", &[next.address()]);
        let ambassador = stage.start().await;
        let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
            .await
            .expect("open");
        for number in 0..1000 {
            let path = if number % 2 == 0 {
                "/users"
            } else {
                "/payments"
            };
            let reply = connection.fetch(get(path)).await.expect("an answer");
            assert_eq!(reply.text(), "now");
        }
        let copies = next.received(20).await;
        assert!(copies.len() < 100, "{} of 500", copies.len());
        for copy in copies {
            assert_eq!(copy.uri.path(), "/users");
            assert_eq!(copy.headers["x-remora-mirrored"], "1");
        }
    }

    pub(super) async fn faults(mut stage: Stage) {
        let origin = named("fine");
        stage.lead("users.default", &[origin.address()]);
        let ambassador = stage.start().await;
        let exchange = async |_| {
            let began = Instant::now();
            let reply = fetch(&ambassador, get("/")).await;
            if reply.status == 503 {
                assert_eq!(reply.proxy_error(), "proxy_internal_response");
            }
            (reply.status.as_u16(), began.elapsed())
        };
        let replies = futures_util::future::join_all((0..200).map(exchange)).await;
        let aborted = replies.iter().filter(|(status, _)| *status == 503).count();
        let late = |time: &Duration| *time >= Duration::from_millis(500);
        let delayed = replies.iter().filter(|(_, time)| late(time)).count();
        // Far wider than chance ever is: 20 and 40 are expected.
        assert!((1..80).contains(&aborted), "{aborted} of 200 are aborted");
        assert!(delayed >= 1, "{delayed} of 200 are delayed");
        assert_eq!(origin.count() + aborted, 200, "what is aborted is not sent");
    }
}
