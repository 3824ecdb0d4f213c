//! Every recipe of the ingress's cookbook is a file that checks clean, starts, and does what its text says.

use std::net::SocketAddr;

use http::{HeaderName, HeaderValue, Request, Response};
use remora_tests::callers::Caller;
use remora_tests::certificates::{Authority, Validity, place};
use remora_tests::client::{Body, Connection, Protocol, Reply, get, once, post, request};
use remora_tests::cookbook::{Recipe, Stage, folder, housed, recipes_of, secure_as};
use remora_tests::origin::{Origin, ok};
use remora_tests::pebble::{Manner, Pebble};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::{INGRESS, Proxy, run_in};

/// The host of most recipes.
const SHOP: &str = "shop.example";

/// One test for each recipe, and the list of the recipes that have one.
macro_rules! probes {
    ($($probe:ident: $title:literal,)*) => {
        const PROBED: &[&str] = &[$($title),*];
        $(
            #[test]
            fn $probe() {
                promise(async { probes::$probe(Stage::of_role(INGRESS, $title).await).await });
            }
        )*
    };
}

probes! {
    hosts: "Two hosts, two services",
    paths: "The paths of one host",
    redirect: "From HTTP to HTTPS for good",
    certificates: "A folder of certificates",
    obtained: "Certificates that renew themselves",
    canary: "A canary with five percent",
    next: "The next version for those who ask for it",
    methods: "Readers here, writers there",
    grpc: "gRPC beside a web application",
    passthrough: "TLS that ends elsewhere",
    clients: "Clients with a certificate only",
    pages: "Pages of your own",
    cors: "An API for pages of another origin",
    compress: "Compressed answers",
}

#[test]
fn every_recipe_has_a_probe_a_text_and_a_command() {
    let recipes = recipes_of(INGRESS);
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
        for Recipe { title, text, .. } in recipes_of(INGRESS) {
            place(folder.path(), "remora.yaml", &housed(&text, folder.path()));
            let arguments = ["check", "-c", "remora.yaml"];
            let output = run_in(INGRESS, folder.path(), &arguments).await;
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

/// The answer to a request for a host, without TLS.
async fn ask(ingress: &Proxy, host: &str, request: Request<Body>) -> Reply {
    let reply = once(ingress.address(), with(request, "host", host)).await;
    reply.expect("an answer")
}

/// The text of the answer to a GET.
async fn text(ingress: &Proxy, host: &str, path: &str) -> String {
    ask(ingress, host, get(path)).await.text()
}

/// An origin that says its name, at the place of an upstream of the recipe.
fn named(stage: &mut Stage, host: &str, name: &'static str) -> Origin {
    let origin = Origin::start(move |_| async move { ok(name) });
    stage.lead(host, &[origin.address()]);
    origin
}

/// The recipe's files of TLS, of an authority whose clients ask for [`SHOP`].
fn issued(stage: &Stage) -> (Authority, Caller) {
    let authority = Authority::new("the public");
    secure_as(stage.folder.path(), &authority, &[SHOP]);
    let caller = Caller::trusting(&authority, SHOP);
    (authority, caller)
}

async fn answer(caller: &Caller, address: SocketAddr, request: Request<Body>) -> Reply {
    let reply = caller.fetch(address, request).await;
    reply.expect("an answer")
}

/// What each recipe promises.
mod probes {
    use super::*;

    pub(super) async fn hosts(mut stage: Stage) {
        let shop = named(&mut stage, "shop.default", "shop");
        let _blog = named(&mut stage, "blog.default", "blog");
        let ingress = stage.start().await;
        for (host, name) in [
            (SHOP, "shop"),
            ("SHOP.example:8080", "shop"),
            ("blog.example", "blog"),
        ] {
            assert_eq!(text(&ingress, host, "/").await, name, "{host}");
        }
        let asked = &shop.received(2).await[0];
        assert_eq!(asked.headers["host"], SHOP);
        assert_eq!(asked.headers["x-forwarded-for"], "127.0.0.1");
        let reply = ask(&ingress, "other.example", get("/")).await;
        let told = (reply.status.as_u16(), reply.proxy_error());
        assert_eq!(told, (404, "destination_not_found"));
    }

    pub(super) async fn paths(mut stage: Stage) {
        let _shop = named(&mut stage, "shop.default", "shop");
        let api = named(&mut stage, "api.default", "api");
        let ingress = stage.start().await;
        for (path, name) in [
            ("/api", "api"),
            ("/api/users?page=2", "api"),
            ("/apiary", "shop"),
            ("/healthz/", "shop"),
            ("/healthz", ""),
        ] {
            assert_eq!(text(&ingress, SHOP, path).await, name, "{path}");
        }
        let asked = api.received(2).await;
        let asked: Vec<String> = asked.iter().map(|asked| asked.uri.to_string()).collect();
        assert_eq!(asked, ["/", "/users?page=2"]);
    }

    pub(super) async fn redirect(mut stage: Stage) {
        let (_, caller) = issued(&stage);
        let _shop = named(&mut stage, "shop.default", "shop");
        let ingress = stage.start().await;
        let plain = ingress.address_of("plain").await;
        let asked = with(post("/cart?id=7", "chair"), "host", "shop.example:8080");
        let reply = once(plain, asked).await.expect("an answer");
        let told = (reply.status.as_u16(), reply.header("location"));
        assert_eq!(told, (308, "https://shop.example/cart?id=7"));
        assert_eq!(reply.header("strict-transport-security"), "");
        let address = ingress.address_of("web").await;
        let reply = answer(&caller, address, get("/cart")).await;
        assert_eq!(reply.text(), "shop");
        let told = reply.header("strict-transport-security");
        assert_eq!(told, "max-age=31536000; includeSubDomains");
    }

    pub(super) async fn certificates(mut stage: Stage) {
        let authority = Authority::new("the public");
        let folder = stage.folder.path().join("hosts");
        std::fs::remove_dir_all(&folder).expect("a folder");
        std::fs::create_dir(&folder).expect("a folder");
        let certified = |name: &str, file: &str| {
            let pair = authority.issue(&[name], Validity::Now);
            place(&folder, &format!("{file}.key"), &pair.key);
            place(&folder, &format!("{file}.crt"), &pair.cert);
        };
        certified("*.tenants.example", "tenants");
        certified(SHOP, "shop");
        let _shop = named(&mut stage, "shop.default", "shop");
        let _tenants = named(&mut stage, "tenants.default", "tenant");
        let _big = named(&mut stage, "big-tenant.default", "big tenant");
        let ingress = stage.start().await;
        for (host, name) in [
            (SHOP, "shop"),
            ("ann.tenants.example", "tenant"),
            ("big.tenants.example", "big tenant"),
        ] {
            // That the certificate bears the name is what the client sees to.
            let caller = Caller::trusting(&authority, host);
            let reply = answer(&caller, ingress.address(), get("/")).await;
            assert_eq!(reply.text(), name, "{host}");
        }
    }

    pub(super) async fn obtained(mut stage: Stage) {
        let Some(mut pebble) = Pebble::announce().await else {
            return;
        };
        let directory = format!("https://{}/dir", pebble.address());
        let ca = pebble.folder().join("ca.pem");
        let acme = ["web", "tls", "acme"];
        stage.set(&[&acme[..], &["directory"]].concat(), &directory);
        let at = [&acme[..], &["ca"]].concat();
        stage.set(&at, &ca.display().to_string());
        let _shop = named(&mut stage, "shop.default", "shop");
        let _blog = named(&mut stage, "blog.default", "blog");
        let ingress = stage.start().await;
        let address = ingress.address_of("web").await;
        for name in [SHOP, "blog.example"] {
            pebble.knows(name);
        }
        let manner = Manner {
            tls: address.port(),
            ..Manner::default()
        };
        pebble.start(manner).await;
        let root = pebble.root().await;
        for (host, name) in [(SHOP, "shop"), ("blog.example", "blog")] {
            let caller = Caller::trusting_root(&root, host);
            let reply = until("a certificate", async || {
                caller.fetch(address, get("/")).await.ok()
            })
            .await;
            assert_eq!(reply.text(), name);
        }
        let labels = [("entry", "web"), ("result", "obtained")];
        let orders = "remora_tls_acme_orders_total";
        ingress.metric(orders, &labels, |count| count == 1.0).await;
    }

    pub(super) async fn canary(mut stage: Stage) {
        let _stable = named(&mut stage, "shop-stable.default", "stable");
        let canary = named(&mut stage, "shop-canary.default", "canary");
        let ingress = stage.start().await;
        let opened = Connection::open(ingress.address(), Protocol::Http1).await;
        let mut connection = opened.expect("a connection");
        for _ in 0..400 {
            let reply = connection.fetch(with(get("/"), "host", SHOP)).await;
            assert_eq!(reply.expect("an answer").status, 200);
        }
        let share = canary.count();
        assert!((19..=21).contains(&share), "{share} of 400");
    }

    pub(super) async fn next(mut stage: Stage) {
        let _shop = named(&mut stage, "shop.default", "now");
        let next = named(&mut stage, "shop-next.default", "next");
        let ingress = stage.start().await;
        for (field, value, name) in [
            ("x-other", "next", "now"),
            ("x-version", "next", "next"),
            ("x-version", "nextish", "now"),
            ("cookie", "version=next", "next"),
            ("cookie", "theme=dark; version=next; id=7", "next"),
            ("cookie", "subversion=next", "now"),
        ] {
            let asked = with(get("/"), field, value);
            let reply = ask(&ingress, SHOP, asked).await;
            assert_eq!(reply.text(), name, "{field}: {value}");
        }
        let entry = format!("web/shop-next.default:{}", next.address().port());
        let metrics = ingress.metrics().await;
        let tries = metrics.sum("remora_tries_total", &[("entry", &entry)]);
        assert_eq!(tries, 3.0, "one upstream of both routes");
    }

    pub(super) async fn methods(mut stage: Stage) {
        let main = named(&mut stage, "catalog.default", "main");
        let _replicas = named(&mut stage, "catalog-replicas.default", "replica");
        let ingress = stage.start().await;
        for (method, name) in [
            ("GET", "replica"),
            ("HEAD", ""),
            ("POST", "main"),
            ("PUT", "main"),
            ("DELETE", "main"),
        ] {
            let asked = request(method, "/items/7");
            let reply = ask(&ingress, "catalog.example", asked).await;
            assert_eq!((reply.status.as_u16(), &*reply.text()), (200, name));
        }
        assert_eq!(main.count(), 3);
    }

    pub(super) async fn grpc(mut stage: Stage) {
        let (_, caller) = issued(&stage);
        let _shop = named(&mut stage, "shop.default", "shop");
        let ledger = Origin::start(|_| async {
            let mut response: Response<Body> = ok("");
            let headers = response.headers_mut();
            headers.insert("content-type", HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from_static("0"));
            response
        });
        stage.lead("ledger.default", &[ledger.address()]);
        let ingress = stage.start().await;
        let call = || {
            let call = post("/ledger.Ledger/Balance", "");
            with(call, "content-type", "application/grpc")
        };
        let caller = caller.offering(&["h2"]);
        let reply = answer(&caller, ingress.address(), call()).await;
        assert_eq!(reply.header("grpc-status"), "0");
        let asked = &ledger.received(1).await[0];
        assert_eq!(asked.version, http::Version::HTTP_2);
        for alpn in ["h2", "http/1.1"] {
            let caller = caller.clone().offering(&[alpn]);
            let reply = answer(&caller, ingress.address(), get("/")).await;
            assert_eq!(reply.text(), "shop");
        }
        drop(ledger);
        let reply = answer(&caller, ingress.address(), call()).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("grpc-status"), "14");
        assert!(!reply.header("grpc-message").is_empty());
    }

    pub(super) async fn passthrough(mut stage: Stage) {
        let (_, shopper) = issued(&stage);
        let own = Authority::new("the vault");
        let pair = own.issue(&["vault.example"], Validity::Now);
        let vault = Origin::secured(pair.server(&[], None), |_| async { ok("vault") });
        stage.lead("vault.default", &[vault.address()]);
        let _shop = named(&mut stage, "shop.default", "shop");
        let ingress = stage.start().await;
        let caller = Caller::trusting(&own, "vault.example");
        let reply = answer(&caller, ingress.address(), get("/")).await;
        assert_eq!(reply.text(), "vault");
        let reply = answer(&shopper, ingress.address(), get("/")).await;
        assert_eq!(reply.text(), "shop");
    }

    pub(super) async fn clients(mut stage: Stage) {
        let (authority, caller) = issued(&stage);
        let shop = named(&mut stage, "shop.default", "shop");
        let ingress = stage.start().await;
        let refused = caller.fetch(ingress.address(), get("/")).await;
        assert!(refused.is_err(), "{refused:?}");
        let ann = caller.bearing(&authority.issue(&["ann"], Validity::Now));
        let made_up = with(get("/"), "client-cert", ":bWFkZSB1cA==:");
        let reply = answer(&ann, ingress.address(), made_up).await;
        assert_eq!(reply.text(), "shop");
        let asked = &shop.received(1).await[0];
        let told = asked.headers["client-cert"].to_str().expect("text");
        assert!(told.starts_with(":MII"), "{told}");
        assert_eq!(shop.count(), 1);
    }

    pub(super) async fn pages(mut stage: Stage) {
        let mut shop = Origin::start(|request| async move {
            match request.uri().path() {
                "/missing" => remora_tests::origin::status(404),
                _ => ok("shop"),
            }
        });
        stage.lead("shop.default", &[shop.address()]);
        let ingress = stage.start().await;
        let reply = ask(&ingress, SHOP, get("/checkout/7")).await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.text(), "<p>maintenance.html</p>\n");
        assert_eq!(reply.header("retry-after"), "600");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        let robots = text(&ingress, SHOP, "/robots.txt").await;
        assert_eq!(robots, "User-agent: *\nDisallow: /\n");
        // A service's own answer is left alone.
        assert_eq!(text(&ingress, SHOP, "/missing").await, "404\n");
        let reply = ask(&ingress, "other.example", get("/")).await;
        let told = (reply.status.as_u16(), reply.proxy_error());
        assert_eq!(told, (404, "destination_not_found"));
        assert_eq!(reply.text(), "<p>404.html</p>\n");
        shop.kill().await;
        let reply = ask(&ingress, SHOP, get("/")).await;
        let told = (reply.status.as_u16(), reply.proxy_error());
        assert_eq!(told, (502, "connection_refused"));
        assert_eq!(reply.text(), "<p>sorry.html</p>\n");
    }

    pub(super) async fn cors(mut stage: Stage) {
        let api = named(&mut stage, "api.default", "api");
        let ingress = stage.start().await;
        let preflight = |origin: &str| {
            let asked = request("OPTIONS", "/users/7");
            let asked = with(asked, "access-control-request-method", "PUT");
            with(asked, "origin", origin)
        };
        for (origin, is_welcome) in [
            ("https://app.example", true),
            ("https://beta.app.example", true),
            ("https://evil.example", false),
        ] {
            let reply = ask(&ingress, "api.example", preflight(origin)).await;
            assert!(reply.status.is_success(), "{}", reply.status);
            let told = reply.header("access-control-allow-origin");
            assert_eq!(told, if is_welcome { origin } else { "" });
        }
        assert_eq!(api.count(), 0, "what browsers ask before is answered here");
        let asked = with(get("/users/7"), "origin", "https://app.example");
        let reply = ask(&ingress, "api.example", asked).await;
        assert_eq!(reply.text(), "api");
        assert_eq!(reply.header("access-control-allow-credentials"), "true");
        assert_eq!(reply.header("access-control-expose-headers"), "etag");
    }

    pub(super) async fn compress(mut stage: Stage) {
        let shop = Origin::start(|request| async move {
            let kind = match request.uri().path() {
                "/catalogue.json" => "application/json",
                _ => "image/png",
            };
            let mut response: Response<Body> = ok("[7, 7, 7, 7]".repeat(500));
            let kind = HeaderValue::from_static(kind);
            response.headers_mut().insert("content-type", kind);
            response
        });
        stage.lead("shop.default", &[shop.address()]);
        let ingress = stage.start().await;
        for (path, accepted, coding) in [
            ("/catalogue.json", "gzip, br, zstd", "zstd"),
            ("/catalogue.json", "gzip", "gzip"),
            ("/catalogue.json", "identity", ""),
            ("/logo.png", "gzip, br, zstd", ""),
        ] {
            let asked = with(get(path), "accept-encoding", accepted);
            let reply = ask(&ingress, SHOP, asked).await;
            assert_eq!(reply.header("content-encoding"), coding, "{path}");
            let is_short = reply.body.len() < 1000;
            assert_eq!(is_short, !coding.is_empty(), "{} bytes", reply.body.len());
            let varies = reply.header("vary").eq_ignore_ascii_case("accept-encoding");
            assert_eq!(varies, path != "/logo.png", "{path}");
        }
    }
}
