//! Twenty rolling restarts of three upstreams under load: no request fails.

use std::time::Duration;

use remora_tests::ambassador::Ambassador;
use remora_tests::client::get;
use remora_tests::load::Load;
use remora_tests::origin::{Origin, slow};
use remora_tests::promise::promise;

#[test]
fn twenty_rolling_restarts_of_three_upstreams() {
    promise(async {
        let origin = || Origin::start(|_| slow(Duration::from_millis(5)));
        let mut origins = [origin(), origin(), origin()];
        let to = origins
            .each_ref()
            .map(|origin| format!("'http://{}'", origin.address()));
        let ambassador = Ambassador::serving(&format!("to: [{}]", to.join(", "))).await;
        let load = Load::start(ambassador.address(), 200, |_| get("/"));
        load.done(50).await;
        for _ in 0..20 {
            for origin in &mut origins {
                origin.stop().await;
                // The load meets the gap, then the upstream is back and gets its share again.
                load.done_more(10).await;
                origin.restart();
                load.done_more(10).await;
            }
        }
        let before = origins.each_ref().map(Origin::count);
        for (origin, before) in origins.iter().zip(before) {
            origin.received(before + 1).await;
        }
        load.stop().await.assert_none_failed();
    });
}
