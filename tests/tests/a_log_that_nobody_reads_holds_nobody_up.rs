//! A reader of standard error that stops holds up neither traffic nor reloads nor the end; what is lost is counted, and
//! told as soon as somebody reads again. A reader that is there gets everything, the last words included.

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get, once};
use remora_tests::config::Config;
use remora_tests::lines::says;
use remora_tests::origin::{Origin, hang, ok};
use remora_tests::promise::promise;
use rustix::process::Signal;

/// Everything is logged, so that a few requests fill every buffer: those of the log (4 MiB) and of the pipe.
async fn chatty(config: &Config) -> Ambassador {
    Ambassador::with_env(config, &[("REMORA_LOG", "trace".to_owned())]).await
}

async fn dropped(ambassador: &Ambassador) -> f64 {
    let metrics = ambassador.metrics().await;
    metrics.sum("remora_log_dropped_total", &[])
}

#[test]
fn traffic_and_reloads_go_on_and_so_does_the_end() {
    promise(async {
        let origin = Origin::start(|_| async { ok("fine") });
        let config = Config::of(&format!("to: h2c://{}", origin.address()));
        let mut ambassador = chatty(&config).await;
        ambassador.log.read(false);
        let opened = Connection::open(ambassador.address(), Protocol::Http2).await;
        let mut connection = opened.expect("open");
        while dropped(&ambassador).await == 0.0 {
            for _ in 0..100 {
                let reply = connection.fetch(get("/")).await.expect("an answer");
                assert_eq!(reply.status, 200);
            }
        }
        let changed = config.text().replace("access-log: all", "access-log: off");
        ambassador.rewrite(&changed);
        assert_eq!(ambassador.ask("POST", "/reload").await.status, 200);
        for _ in 0..10 {
            once(ambassador.address(), get("/"))
                .await
                .expect("an answer");
        }

        // Whoever reads again is told what is missing.
        ambassador.log.read(true);
        let told = "lines of this log were lost: its reader is too slow";
        let line = ambassador
            .log
            .find("the loss", |line| says(line, told))
            .await;
        assert!(
            line["lines"].as_f64().is_some_and(|lines| lines > 0.0),
            "{line}"
        );

        // And the end waits for nobody who does not.
        ambassador.log.read(false);
        let before = dropped(&ambassador).await;
        while dropped(&ambassador).await == before {
            for _ in 0..100 {
                connection.fetch(get("/")).await.expect("an answer");
            }
        }
        drop(connection);
        ambassador.signal(Signal::INT);
        assert!(ambassador.exit().await.success());
    });
}

#[test]
fn the_last_words_come_last_and_are_never_lost() {
    promise(async {
        let origin = Origin::start(|_| hang());
        let settings = format!("to: http://{}", origin.address());
        let config = Config::of(&settings).with("drain: {timeout: 100ms}");
        let mut ambassador = Ambassador::start(&config).await;
        let address = ambassador.address();
        let request = tokio::spawn(async move { once(address, get("/")).await.is_ok() });
        origin.received(1).await;
        ambassador.signal(Signal::INT);
        assert_eq!(ambassador.exit().await.code(), Some(1));
        assert!(!request.await.expect("it ends"));
        let lines = ambassador.log.to_end().await;
        let [.., cut, last] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert!(says(cut, "cut off"), "{cut}");
        let last = last.as_str().expect("plain text");
        assert!(last.starts_with("error: 1 requests were cut off"), "{last}");
    });
}
