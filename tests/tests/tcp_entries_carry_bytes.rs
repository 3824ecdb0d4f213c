//! A `tcp://` entry carries bytes both ways, each side closing its own direction.

use remora_tests::ambassador::Ambassador;
use remora_tests::promise::promise;
use remora_tests::scripted::{Scripted, refusing};
use remora_tests::wire::{Ending, Wire};
use tokio::net::TcpStream;

async fn serving(origin: &Scripted) -> (Ambassador, Wire) {
    let ambassador = Ambassador::serving(&format!("to: tcp://{}", origin.address())).await;
    let wire = Wire::connect(ambassador.address()).await;
    (ambassador, wire)
}

#[test]
fn the_origin_may_speak_first_and_anything_goes() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.send("220 ready\r\n").await;
            let line = wire.through("\n").await.unwrap_or_default();
            let _ = wire.send(format!("500 not {line}")).await;
        });
        let (_ambassador, mut wire) = serving(&origin).await;
        assert_eq!(
            wire.through("\n").await.expect("a greeting"),
            "220 ready\r\n"
        );
        wire.send("GET / HTTP/9\n").await.expect("sent");
        assert_eq!(
            wire.through("\n").await.expect("an answer"),
            "500 not GET / HTTP/9\n"
        );
        assert_eq!(wire.rest().await, (Vec::new(), Ending::Closed));
    });
}

#[test]
fn the_client_may_finish_first() {
    promise(async {
        let origin = Scripted::start(|mut wire, _| async move {
            let (bytes, ending) = wire.rest().await;
            let _ = wire
                .send(format!("{} bytes, {ending:?}", bytes.len()))
                .await;
        });
        let (_ambassador, mut wire) = serving(&origin).await;
        wire.send(vec![7; 3_000_000]).await.expect("sent");
        wire.finish().await.expect("half closed");
        let (rest, ending) = wire.rest().await;
        assert_eq!(String::from_utf8_lossy(&rest), "3000000 bytes, Closed");
        assert_eq!(ending, Ending::Closed);
    });
}

#[test]
fn the_origin_may_finish_first() {
    promise(async {
        let (told, mut heard) = tokio::sync::mpsc::channel(1);
        let origin = Scripted::start(move |mut wire, _| {
            let told = told.clone();
            async move {
                let _ = wire.send("all I have").await;
                let _ = wire.finish().await;
                let _ = told.send(wire.rest().await).await;
            }
        });
        let (_ambassador, mut wire) = serving(&origin).await;
        assert_eq!(wire.rest().await, (b"all I have".to_vec(), Ending::Closed));
        wire.send("and I still talk").await.expect("sent");
        wire.finish().await.expect("half closed");
        let heard = remora_tests::promise::expect("the origin", heard.recv()).await;
        assert_eq!(heard, Some((b"and I still talk".to_vec(), Ending::Closed)));
    });
}

#[test]
fn a_refused_upstream_closes_the_connection() {
    promise(async {
        let (nobody, _held) = refusing();
        let ambassador = Ambassador::serving(&format!("to: tcp://{nobody}")).await;
        // The end may come so soon that it is the connecting itself that fails.
        if let Ok(stream) = TcpStream::connect(ambassador.address()).await {
            assert_eq!(Wire::new(stream).rest().await.0, b"");
        }
        let faults = [("entry", "users"), ("reason", "connection_refused")];
        ambassador
            .metric("remora_faults_total", &faults, |value| value >= 1.0)
            .await;
    });
}

#[test]
fn another_endpoint_is_tried_when_one_refuses() {
    promise(async {
        let (nobody, _held) = refusing();
        let origin = Scripted::start(|mut wire, _| async move {
            let _ = wire.send("here").await;
        });
        let to = format!("to: ['tcp://{nobody}', 'tcp://{}']", origin.address());
        let ambassador = Ambassador::serving(&to).await;
        for _ in 0..10 {
            let mut wire = Wire::connect(ambassador.address()).await;
            assert_eq!(wire.rest().await.0, b"here");
        }
    });
}
