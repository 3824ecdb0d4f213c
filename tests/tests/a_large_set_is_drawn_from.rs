//! With `subset` a process uses a part of the endpoints, another process another part, and what it
//! uses it keeps over a reload.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

/// Sends until every endpoint that is in use must have had its turn, and says which were reached.
async fn reached(ambassador: &Ambassador, origins: &[Origin]) -> Vec<usize> {
    let before: Vec<usize> = origins.iter().map(Origin::count).collect();
    let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
        .await
        .expect("open");
    for _ in 0..origins.len() {
        let reply = connection.fetch(get("/")).await.expect("an answer");
        assert_eq!(reply.status, 200);
    }
    let after = origins.iter().map(Origin::count).enumerate();
    let grown = after.filter(|(index, count)| *count > before[*index]);
    grown.map(|(index, _)| index).collect()
}

#[test]
fn by_each_process_for_itself() {
    promise(async {
        let origins: Vec<Origin> = (0..16)
            .map(|_| Origin::start(|_| async { ok("fine") }))
            .collect();
        let to: Vec<String> = origins
            .iter()
            .map(|origin| format!("'http://{}'", origin.address()))
            .collect();
        let settings = format!("to: [{}]\nbalance: round-robin\nsubset: 4", to.join(", "));
        let ambassador = Ambassador::serving(&settings).await;
        let own = reached(&ambassador, &origins).await;
        assert_eq!(own.len(), 4, "{own:?}");
        let metrics = ambassador.metrics().await;
        assert_eq!(metrics.sum("remora_endpoints", &[]), 4.0);
        assert_eq!(ambassador.ask("POST", "/reload").await.status, 200);
        assert_eq!(reached(&ambassador, &origins).await, own);
        // One of 1,820 draws is the same: three in a row are none.
        for _ in 0..3 {
            let other = Ambassador::serving(&settings).await;
            let others = reached(&other, &origins).await;
            assert_eq!(others.len(), 4);
            if others != own {
                return;
            }
        }
        panic!("every process draws the same");
    });
}
