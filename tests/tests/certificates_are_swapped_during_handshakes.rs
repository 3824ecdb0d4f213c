//! A thousand times another certificate takes the place of the one before while callers shake hands: no handshake
//! fails, and none gets the certificate of one pair with a signature of another.

use std::collections::HashMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use remora_tests::certificates::{Authority, Pair, Validity};
use remora_tests::config::Config;
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::{promise, until};
use remora_tests::proxy::Proxy;
use remora_tests::tls::{Caller, GET, NAME, connect, exchange};
use rustls::ClientConfig;
use rustls::client::Resumption;

const SWAPS: usize = 1000;

/// So many callers shake hands at once.
const CALLERS: usize = 3;

/// What all callers have seen together.
struct Seen {
    /// The place of each certificate in the order in which they are put in place.
    places: HashMap<Vec<u8>, usize>,
    /// How often each was shown.
    shown: Vec<AtomicUsize>,
    handshakes: AtomicUsize,
    done: AtomicBool,
}

/// Calls again and again. The certificate is verified, and the signature with it: that is the caller's own doing.
async fn call(address: std::net::SocketAddr, config: Arc<ClientConfig>, seen: Arc<Seen>) {
    while !seen.done.load(Relaxed) {
        let mut stream = connect(address, &config).await.expect("a handshake");
        let session = stream.get_ref().1;
        let shown = session.peer_certificates().expect("a certificate")[0].to_vec();
        let place = seen.places.get(&shown);
        let place = *place.expect("a certificate that was put in place");
        seen.shown[place].fetch_add(1, Relaxed);
        let answer = exchange(&mut stream, GET).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        seen.handshakes.fetch_add(1, Relaxed);
    }
}

/// Puts each pair in its place by `swap` while callers shake hands with a sidecar that has this certificate.
async fn swapped(folder: &Path, swap: impl Fn(usize, &Pair)) {
    let authority = Authority::new("the test's");
    let issue = |_| authority.issue(&[NAME], Validity::Now);
    let pairs: Vec<Pair> = (0..=SWAPS).map(issue).collect();
    swap(0, &pairs[0]);
    let origin = Origin::start(|_| async { ok("fine") });
    let path = folder.display();
    let sidecar = Proxy::start(&Config::of_sidecar(&format!(
        "to: http://{}\ntls: {{cert: {path}/tls.crt, key: {path}/tls.key}}",
        origin.address()
    )))
    .await;
    let places = pairs.iter().enumerate();
    let seen = Arc::new(Seen {
        places: places.map(|(at, pair)| (pair.der().to_vec(), at)).collect(),
        shown: pairs.iter().map(|_| AtomicUsize::new(0)).collect(),
        handshakes: AtomicUsize::new(0),
        done: AtomicBool::new(false),
    });
    let mut config = ClientConfig::clone(&Caller::trusting(&authority).config());
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
            tokio::spawn(call(sidecar.address(), config, seen))
        })
        .collect();
    for (turn, pair) in pairs.iter().enumerate().skip(1) {
        let before = seen.handshakes.load(Relaxed);
        swap(turn, pair);
        // Now and then a certificate is seen by somebody before it goes, and the last one in any case.
        let is_awaited = turn % 10 == 0;
        until("another handshake", async || {
            assert!(callers.iter().all(|caller| !caller.is_finished()));
            let went_on = seen.handshakes.load(Relaxed) > before;
            let is_shown = seen.shown[turn].load(Relaxed) > 0;
            (went_on && (is_shown || !is_awaited)).then_some(())
        })
        .await;
    }
    seen.done.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("every handshake went well");
    }
    let metrics = sidecar.metrics().await;
    let count = |labels: &[(&str, &str)]| metrics.sum("remora_tls_handshakes_total", labels);
    assert_eq!(count(&[]), count(&[("result", "full")]));
    assert_eq!(count(&[]), seen.handshakes.load(Relaxed) as f64);
}

#[test]
fn as_kubernetes_swaps_secrets() {
    let volume = tempfile::tempdir().expect("a folder");
    let path = volume.path().to_owned();
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), path.join(name)).expect("a link");
    }
    promise(async move {
        swapped(&path.clone(), |turn, pair| {
            let version = path.join(format!("..{turn}"));
            std::fs::create_dir(&version).expect("a folder");
            write(&version, pair);
            let link = path.join("..data_tmp");
            symlink(format!("..{turn}"), &link).expect("a link");
            std::fs::rename(link, path.join("..data")).expect("a link in its place");
            // What nothing leads to any more is removed.
            if let Some(before) = turn.checked_sub(1) {
                let before = path.join(format!("..{before}"));
                std::fs::remove_dir_all(before).expect("a folder that is gone");
            }
        })
        .await;
    });
}

#[test]
fn by_writing_into_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    // One file after the other, each empty for a moment.
    promise(async move { swapped(&path, |_, pair| write(&path, pair)).await });
}

fn write(folder: &Path, pair: &Pair) {
    std::fs::write(folder.join("tls.crt"), &pair.cert).expect("a certificate");
    std::fs::write(folder.join("tls.key"), &pair.key).expect("a key");
}
