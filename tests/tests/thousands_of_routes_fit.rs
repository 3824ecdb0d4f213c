//! Five thousand routes of a thousand hosts to a thousand services load, lead where they say, and stay small.

use http::{HeaderName, HeaderValue, Request};
use remora_tests::client::{Body, Reply, once, request};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
use serde_json::Value;

const HOSTS: usize = 1000;

/// The hosts that are asked for; the first and every tenth after it are wildcards.
const ASKED: [usize; 5] = [0, 1, 410, 777, HOSTS - 1];

/// The most that the routes may take: 40 MiB of a process which takes 7 MiB with one route, when it is optimised.
const MOST: u64 = 33 << 20;

/// A host as routes name it, and as requests do.
fn host(number: usize) -> (String, String) {
    match number % 10 {
        0 => (
            format!("*.tenant-{number}.example"),
            format!("a.tenant-{number}.example"),
        ),
        _ => {
            let name = format!("shop-{number}.example");
            (name.clone(), name)
        }
    }
}

/// The routes of so many hosts. The services of those that are asked for are this origin, by a name of their own
/// each; where the others would be nobody listens.
fn config(hosts: usize, origin: &Origin, round: usize) -> Config {
    let mut routes = String::from("routes:\n");
    for number in 0..hosts {
        let (host, _) = host(number);
        let (high, low) = (number / 250, number % 250 + 1);
        let to = match ASKED.contains(&number) {
            true => format!("http://{}", origin.address()),
            false => format!("http://127.9.{high}.{low}:9"),
        };
        // What differs makes it an upstream of its own, though the address is the same.
        let rest = format!("to: '{to}', pool: {{streams: {}}}", number + 1);
        let version = "when: {headers: {x-version: '2'}}";
        for (key, route) in [
            (format!("{host}#web-{number}"), format!("{{{rest}}}")),
            (
                format!("{host}/api/v{}#api-{number}", number % 7),
                format!("{{{rest}, rewrite: {{prefix: /}}}}"),
            ),
            (
                format!("{host}=/healthz#health-{number}"),
                format!("{{respond: {{status: 200, body: healthy-{number}}}}}"),
            ),
            (
                format!("POST {host}/cart#cart-{number}"),
                format!("{{{rest}}}"),
            ),
            (
                format!("{host}/cart#next-{number}"),
                format!("{{{rest}, {version}}}"),
            ),
        ] {
            routes += &format!("'{key}': {route}\n");
        }
    }
    // A map in braces takes no account of the lines around it.
    let routes = routes.replacen("routes:\n", "routes: {", 1);
    let routes = routes.trim_end().replace('\n', ", ");
    let settings = format!("{routes}}}\nmax-headers: {}KiB", 64 + round);
    Config::of_ingress(&settings).with("workers: 1")
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    let value = HeaderValue::from_str(value).expect("a value");
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, value);
    request
}

async fn ask(ingress: &Proxy, host: &str, request: Request<Body>) -> (Option<String>, Reply) {
    let request = with(request, "x-remora-explain", "1");
    let reply = once(ingress.address(), with(request, "host", host)).await;
    let reply = reply.expect("an answer");
    let told = reply.header("x-remora-explain");
    let told: Value = serde_json::from_str(told).unwrap_or_default();
    (told["route"].as_str().map(str::to_owned), reply)
}

/// Asks every kind of route of a host.
async fn visit(ingress: &Proxy, number: usize) {
    let (_, host) = host(number);
    let api = format!("/api/v{}/users", number % 7);
    for (method, path, version, route, answer) in [
        ("GET", "/anything", "2", "web", "/anything".to_owned()),
        ("GET", &api, "1", "api", "/users".to_owned()),
        (
            "GET",
            "/healthz",
            "1",
            "health",
            format!("healthy-{number}"),
        ),
        ("POST", "/cart/7", "1", "cart", "/cart/7".to_owned()),
        ("GET", "/cart/7", "2", "next", "/cart/7".to_owned()),
        ("GET", "/cart/7", "1", "web", "/cart/7".to_owned()),
    ] {
        let asked = with(request(method, path), "x-version", version);
        let (taken, reply) = ask(ingress, &host, asked).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, answer));
        assert_eq!(taken, Some(format!("{route}-{number}")), "{host}{path}");
    }
}

/// Waits until no more than this is resident: what loading took besides is given back a moment later.
async fn settled(ingress: &Proxy, most: u64) {
    let what = format!("at most {most} bytes, as against {:?}", ingress.memory());
    until(&what, async || {
        (ingress.memory().resident <= most).then_some(())
    })
    .await;
}

#[test]
fn five_thousand_routes_lead_where_they_say_and_stay_small() {
    promise(async {
        let origin = Origin::start(|request| async move { ok(request.uri().path().to_owned()) });
        let lone = Proxy::start(&config(1, &origin, 0)).await;
        visit(&lone, ASKED[0]).await;
        let (route, reply) = ask(&lone, "nobody.example", request("GET", "/")).await;
        assert_eq!((reply.status.as_u16(), route), (404, None));
        let before = lone.memory().resident;
        let ingress = Proxy::start(&config(HOSTS, &origin, 0)).await;
        settled(&ingress, before + MOST).await;
        for number in ASKED {
            visit(&ingress, number).await;
        }
        for (round, number) in (1..).zip(ASKED) {
            ingress.rewrite(&config(HOSTS, &origin, round).text());
            let size = format!("max-headers: {}KiB", 64 + round);
            until("the file has been taken over", async || {
                let shown = ingress.ask("GET", "/config").await.text();
                shown.contains(&size).then_some(())
            })
            .await;
            visit(&ingress, number).await;
        }
        // The file that was and the one that is are there at once for a moment, which leaves gaps.
        settled(&ingress, before + 2 * MOST).await;
    });
}
