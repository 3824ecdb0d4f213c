//! A proxy obtains its certificate from an ACME authority and renews it: by both challenges, whatever the authority
//! does to its nonces, and with a pause after each failure.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use remora_tests::certificates::{Authority, place};
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::pebble::{Manner, Pebble, trusting};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
use remora_tests::scripted::refusing;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::TcpStream;

const SHOP: &str = "shop.test";
const CART: &str = "cart.test";

const ORDERS: &str = "remora_tls_acme_orders_total";
const FAILURES: &str = "remora_tls_acme_failures";
const NEXT: &str = "remora_tls_acme_next_order_timestamp_seconds";
const HANDSHAKES: &str = "remora_tls_handshakes_total";

/// An authority that knows both names, a workload, and the folder that certificates are kept in.
struct Stage {
    pebble: Pebble,
    origin: Origin,
    folder: TempDir,
}

impl Stage {
    /// None where there is no authority to be had.
    async fn set() -> Option<Self> {
        let pebble = Pebble::announce().await?;
        pebble.knows(SHOP);
        pebble.knows(CART);
        Some(Self {
            pebble,
            origin: Origin::start(|_| async { ok("the workload") }),
            folder: tempfile::tempdir().expect("a folder"),
        })
    }

    /// An entry that obtains a certificate; `more` goes into its `acme`, and `besides` beside that.
    fn entry(&self, names: &[&str], more: &str, besides: &str) -> String {
        format!(
            "to: http://{}\ntls: {{acme: {{names: [{}], folder: '{}', terms: agreed, {}{more}}}{besides}}}",
            self.origin.address(),
            names.join(", "),
            self.folder.path().display(),
            self.pebble.settings()
        )
    }

    /// The same as a whole configuration.
    fn config(&self, names: &[&str]) -> Config {
        Config::of_sidecar(&self.entry(names, "", ""))
    }

    /// An entry without TLS.
    fn plain(&self) -> String {
        format!("to: http://{}", self.origin.address())
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).expect("a file")
    }

    /// What the one file says that holds an account.
    fn account(&self) -> serde_json::Value {
        let names = names_in(self.folder.path());
        let of_account = |name: &&String| name.starts_with("account-");
        let file = self.file(names.iter().find(of_account).expect("an account"));
        serde_json::from_slice(&file).expect("JSON")
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).expect("a folder");
    all.map(|one| {
        one.expect("a file")
            .file_name()
            .into_string()
            .expect("UTF-8")
    })
    .collect()
}

/// The certificate that who asks for `name` is shown, if it can be trusted.
async fn shown(sidecar: &Proxy, root: &str, name: &'static str) -> std::io::Result<Vec<u8>> {
    let tcp = TcpStream::connect(sidecar.address()).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting(root, &[])));
    let name = ServerName::try_from(name).expect("a name");
    let stream = connector.connect(name, tcp).await?;
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    Ok(chain[0].to_vec())
}

/// Waits until the name is shown a certificate that can be trusted.
async fn obtained(sidecar: &Proxy, root: &str, name: &'static str) -> Vec<u8> {
    let what = format!("a certificate for {name}");
    until(&what, async || shown(sidecar, root, name).await.ok()).await
}

async fn orders(sidecar: &Proxy, result: &str, count: f64) {
    let labels = [("entry", "web"), ("result", result)];
    sidecar
        .metric(ORDERS, &labels, |value| value == count)
        .await;
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock").as_secs_f64()
}

#[test]
fn by_handshakes_before_any_rule_for_clients() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let clients = Authority::new("the clients'");
        let ca = place(stage.pebble.folder(), "clients.pem", &clients.pem());
        let besides = format!(", client-ca: '{}'", ca.display());
        let sidecar = Proxy::start(&Config::of_sidecar(&stage.entry(&[SHOP], "", &besides))).await;
        // It is ready without: the authority could not reach it otherwise.
        let refused = shown(&sidecar, &clients.pem(), SHOP).await;
        assert!(refused.is_err());
        let awaited = [("entry", "web"), ("result", "awaited")];
        sidecar
            .metric(HANDSHAKES, &awaited, |count| count == 1.0)
            .await;
        let tls = sidecar.address().port();
        stage
            .pebble
            .start(Manner {
                tls,
                ..Manner::default()
            })
            .await;
        let root = stage.pebble.root().await;
        obtained(&sidecar, &root, SHOP).await;
        orders(&sidecar, "obtained", 1.0).await;
        let metrics = sidecar.metrics().await;
        let challenge = [("entry", "web"), ("result", "challenge")];
        assert!(metrics.sum(HANDSHAKES, &challenge) >= 1.0);
        for (name, kind) in [(ORDERS, "counter"), (FAILURES, "gauge"), (NEXT, "gauge")] {
            assert_eq!(metrics.families.get(name).map(String::as_str), Some(kind));
        }
        let web = [("entry", "web")];
        assert_eq!(metrics.sum(FAILURES, &web), 0.0);
        let expiry = metrics.sum("remora_tls_certificate_expiry_timestamp_seconds", &web);
        let next = metrics.sum(NEXT, &web);
        assert!(now() < next && next < expiry, "{next} {expiry}");
        let answers = names_in(&stage.folder.path().join("challenges"));
        assert!(answers.is_empty(), "{answers:?}");
        for name in names_in(stage.folder.path()) {
            let file = stage.folder.path().join(name);
            let mode = fs::metadata(&file).expect("a file").permissions().mode();
            assert!(file.is_dir() || mode & 0o777 == 0o600, "{file:?} {mode:o}");
        }
        // No key is said to anybody.
        let config = sidecar.ask("GET", "/config").await.text();
        let said = format!("{config}{:?}", sidecar.log);
        let key = String::from_utf8(stage.file("web.pem")).expect("PEM");
        let key = key.split("PRIVATE KEY-----").nth(1).expect("a key");
        let line = key.lines().nth(1).expect("a line of a key");
        assert!(!said.contains(line) && !said.contains("PRIVATE KEY"));
    });
}

#[test]
fn by_requests_that_hide_nothing_of_the_workload() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let entry = stage.entry(&[SHOP, CART], ", challenge: http-01", "");
        let config = Config::of_sidecar(&entry).and("plain", &stage.plain());
        let sidecar = Proxy::start(&config).await;
        let plain = sidecar.address_of("plain").await;
        let (http, tls) = (plain.port(), 1);
        let manner = Manner {
            http,
            tls,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        let root = stage.pebble.root().await;
        let certificate = obtained(&sidecar, &root, SHOP).await;
        assert_eq!(obtained(&sidecar, &root, CART).await, certificate);
        let path = "/.well-known/acme-challenge/of-the-workload";
        let mut connection = Connection::open(plain, Protocol::Http1)
            .await
            .expect("open");
        let reply = connection.fetch(get(path)).await.expect("an answer");
        assert_eq!(reply.text(), "the workload");
        assert_eq!(stage.origin.received(1).await[0].uri.path(), path);
        assert_eq!(stage.origin.count(), 1, "a challenge went to the workload");
        // What was answered is in the access log, as any other request.
        let answered = |line: &serde_json::Value| {
            let path = line["path"].as_str().unwrap_or_default();
            path.starts_with("/.well-known/acme-challenge/") && line["tries"] == 0
        };
        sidecar.access.find("the answer", answered).await;
    });
}

#[test]
fn an_ingress_obtains_them_before_it_asks_for_a_route() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let routes = "routes: {'*': {respond: {status: 200, body: routed}}}";
        let entry = stage.entry(&[SHOP, CART], ", challenge: http-01", "");
        let (_, tls) = entry.split_once('\n').expect("two lines");
        let config = Config::of_ingress(&format!("{routes}\n{tls}")).and("plain", routes);
        let ingress = Proxy::start(&config).await;
        let plain = ingress.address_of("plain").await;
        let manner = Manner {
            http: plain.port(),
            tls: 1,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        let root = stage.pebble.root().await;
        obtained(&ingress, &root, CART).await;
        let mut connection = Connection::open(plain, Protocol::Http1)
            .await
            .expect("open");
        for path in ["/", "/.well-known/acme-challenge/of-a-workload"] {
            let reply = connection.fetch(get(path)).await.expect("an answer");
            assert_eq!(reply.text(), "routed");
        }
        let answered = |line: &serde_json::Value| {
            let path = line["path"].as_str().unwrap_or_default();
            path.starts_with("/.well-known/acme-challenge/") && line["route"].is_null()
        };
        ingress.access.find("the answer", answered).await;
    });
}

#[test]
fn it_is_renewed_while_it_is_used() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let sidecar = Proxy::start(&stage.config(&[SHOP])).await;
        let manner = Manner {
            tls: sidecar.address().port(),
            validity: 24,
            // As public authorities do for a while.
            believed: 100,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        let root = stage.pebble.root().await;
        let first = obtained(&sidecar, &root, SHOP).await;
        until("another certificate", async || {
            // It never expires meanwhile.
            let shown = shown(&sidecar, &root, SHOP).await.expect("TLS");
            (shown != first).then_some(())
        })
        .await;
        orders(&sidecar, "obtained", 2.0).await;
    });
}

#[test]
fn nonces_that_are_refused_cost_no_order() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let sidecar = Proxy::start(&stage.config(&[SHOP, CART])).await;
        let manner = Manner {
            tls: sidecar.address().port(),
            refused_nonces: 50,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        let root = stage.pebble.root().await;
        obtained(&sidecar, &root, CART).await;
        orders(&sidecar, "obtained", 1.0).await;
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum(ORDERS, &[("entry", "web")]), 1.0);
    });
}

#[test]
fn what_the_folder_has_is_served_at_once_and_other_names_are_ordered_anew() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let (root, first, mut account) = {
            let sidecar = Proxy::start(&stage.config(&[SHOP])).await;
            let tls = sidecar.address().port();
            let manner = Manner {
                tls,
                ..Manner::default()
            };
            stage.pebble.start(manner).await;
            let root = stage.pebble.root().await;
            let first = obtained(&sidecar, &root, SHOP).await;
            (root, first, stage.account())
        };
        stage.pebble.shut();
        let sidecar = Proxy::start(&stage.config(&[SHOP])).await;
        let again = shown(&sidecar, &root, SHOP).await.expect("TLS");
        assert_eq!(again, first);
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum(ORDERS, &[("entry", "web")]), 0.0);
        // The authority has another root now, and has forgotten our account.
        let tls = sidecar.address().port();
        stage
            .pebble
            .start(Manner {
                tls,
                believed: 100,
                ..Manner::default()
            })
            .await;
        let other_root = stage.pebble.root().await;
        let both = stage.entry(&[SHOP, CART], "", "");
        sidecar.rewrite(&Config::of_sidecar(&both).text());
        let second = obtained(&sidecar, &other_root, CART).await;
        assert_eq!(obtained(&sidecar, &other_root, SHOP).await, second);
        let former = std::mem::replace(&mut account, stage.account());
        assert_ne!(account, former);
        // One name less, and a contact: the same account, whose contact is told.
        let more = ", contact: ['mailto:ops@shop.test']";
        let one = stage.entry(&[CART], more, "");
        sidecar.rewrite(&Config::of_sidecar(&one).text());
        until("a certificate for one name", async || {
            let shown = shown(&sidecar, &other_root, CART).await.expect("TLS");
            (shown != second).then_some(())
        })
        .await;
        let told = stage.account();
        assert_eq!(told["credentials"], account["credentials"]);
        assert_eq!(told["contact"][0], "mailto:ops@shop.test");
        // The account is the same after a restart: the authority believes it both names.
        drop(sidecar);
        let both = stage.entry(&[SHOP, CART], more, "");
        let sidecar = Proxy::start(&Config::of_sidecar(&both)).await;
        obtained(&sidecar, &other_root, SHOP).await;
        assert_eq!(stage.account(), told);
    });
}

#[test]
fn a_name_that_leads_elsewhere_is_not_asked_for_again_and_again() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        let plain = stage.plain();
        let config = |stage: &Stage, more: &str| {
            Config::of_sidecar(&stage.entry(&[SHOP], more, "")).and("plain", &plain)
        };
        let sidecar = Proxy::start(&config(&stage, "")).await;
        let (nobody, _socket) = refusing();
        let http = sidecar.address_of("plain").await.port();
        let manner = Manner {
            tls: nobody.port(),
            http,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        orders(&sidecar, "unverified", 1.0).await;
        let web = [("entry", "web")];
        sidecar.metric(FAILURES, &web, |count| count == 1.0).await;
        let next = sidecar.metric(NEXT, &web, |next| next > now() + 40.0).await;
        assert!(next < now() + 70.0, "{next}");
        let line = sidecar
            .log
            .find("why", |line| line["reason"] == "unverified")
            .await;
        let detail = line["detail"].as_str().expect("a reason");
        assert!(
            detail.contains(SHOP) && detail.contains("connect"),
            "{line}"
        );
        // Neither does a process that begins anew ask.
        let second = Proxy::start(&config(&stage, "")).await;
        second.metric(NEXT, &web, |again| again == next).await;
        let metrics = second.metrics().await;
        assert_eq!(metrics.sum(ORDERS, &web), 0.0);
        assert_eq!(metrics.sum(FAILURES, &web), 1.0);
        drop(second);
        // What is mended is tried at once.
        sidecar.rewrite(&config(&stage, ", challenge: http-01").text());
        orders(&sidecar, "obtained", 1.0).await;
        sidecar.metric(FAILURES, &web, |count| count == 0.0).await;
        orders(&sidecar, "unverified", 1.0).await;
    });
}

#[test]
fn an_authority_that_cannot_be_reached_is_asked_again_after_a_pause() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        stage.pebble.shut();
        let sidecar = Proxy::start(&stage.config(&[SHOP])).await;
        orders(&sidecar, "unreachable", 1.0).await;
        let web = [("entry", "web")];
        sidecar.metric(FAILURES, &web, |count| count == 1.0).await;
        let tls = sidecar.address().port();
        let manner = Manner {
            tls,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        let root = stage.pebble.root().await;
        obtained(&sidecar, &root, SHOP).await;
        orders(&sidecar, "obtained", 1.0).await;
        sidecar.metric(FAILURES, &web, |count| count == 0.0).await;
    });
}

#[test]
fn who_shares_a_folder_orders_once_and_answers_for_the_other() {
    promise(async {
        let Some(mut stage) = Stage::set().await else {
            return;
        };
        // Nobody orders before both are there.
        let lock = fs::File::create(stage.folder.path().join("lock")).expect("a file");
        lock.lock().expect("nobody else has it");
        let one = Proxy::start(&stage.config(&[SHOP])).await;
        let other = Proxy::start(&stage.config(&[SHOP])).await;
        // An entry that orders elsewhere, and in vain: it answers all the same.
        let (nobody, _socket) = refusing();
        let elsewhere = format!("'https://{nobody}/dir'");
        let third = stage.entry(&[SHOP], "", "");
        let own = stage.pebble.settings();
        let own = own.split(", ca:").next().expect("a directory");
        let third = third.replace(own, &format!("directory: {elsewhere}"));
        let third = Config::of_sidecar("to: http://127.0.0.1:1").and("third", &third);
        let third = Proxy::start(&third).await;
        let tls = third.address_of("third").await.port();
        let manner = Manner {
            tls,
            ..Manner::default()
        };
        stage.pebble.start(manner).await;
        drop(lock);
        let root = stage.pebble.root().await;
        let first = obtained(&one, &root, SHOP).await;
        assert_eq!(obtained(&other, &root, SHOP).await, first);
        let challenge = [("entry", "third"), ("result", "challenge")];
        third
            .metric(HANDSHAKES, &challenge, |count| count >= 1.0)
            .await;
        let mut made = 0.0;
        for sidecar in [&one, &other] {
            let metrics = sidecar.metrics().await;
            made += metrics.sum(ORDERS, &[("entry", "web")]);
        }
        assert_eq!(made, 1.0);
    });
}
