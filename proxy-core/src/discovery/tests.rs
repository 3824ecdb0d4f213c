//! A followed name is asked for in time, its last good set is kept, and nobody is asked in vain.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::fault::Reason;

/// Answers from a script, and notes when it was asked.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<Vec<Result<Lookup, LookupError>>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
    services: Arc<Mutex<Option<Services>>>,
}

impl Resolve for Scripted {
    async fn resolve(&self, _: &str, _: &[IpAddr]) -> Result<Lookup, LookupError> {
        self.asked.lock().push(Instant::now());
        let mut answers = self.answers.lock();
        if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        }
    }

    async fn services(&self, _: &str) -> Result<Services, LookupError> {
        self.services
            .lock()
            .clone()
            .ok_or_else(|| bad().unwrap_err())
    }
}

fn good(last: u8, ttl: u64) -> Result<Lookup, LookupError> {
    Ok(Lookup {
        addresses: vec![IpAddr::from([127, 0, 0, last])],
        ttl: Duration::from_secs(ttl),
        partial: None,
    })
}

fn bad() -> Result<Lookup, LookupError> {
    Err(LookupError {
        reason: Reason::DnsError,
        text: "no".into(),
    })
}

fn start(answers: Vec<Result<Lookup, LookupError>>) -> (Scripted, watch::Receiver<Resolution>) {
    let script = Scripted {
        answers: Arc::new(Mutex::new(answers)),
        ..Scripted::default()
    };
    let receiver = watch_dns(
        script.clone(),
        "users".into(),
        Question::Addresses(80),
        Arc::default(),
        Params::default(),
    );
    (script, receiver)
}

#[tokio::test(start_paused = true)]
async fn asks_again_when_the_time_to_live_is_over() {
    let (script, mut resolution) = start(vec![good(1, 7), good(2, 7)]);
    let begun = Instant::now();
    resolution
        .wait_for(|r| {
            r.found
                .iter()
                .any(|f| f.address.to_string() == "127.0.0.2:80")
        })
        .await
        .unwrap();
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!(script.asked.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn clamps_a_time_to_live_of_zero_and_of_an_age() {
    let (_, mut resolution) = start(vec![good(1, 0), good(2, 1 << 31), good(3, 1)]);
    let begun = Instant::now();
    resolution.wait_for(|r| r.succeeded == 3).await.unwrap();
    // A long time to live is shortened by up to a tenth.
    assert!((1 + 270..=1 + 300).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn keeps_the_last_good_set_through_failures() {
    let (_, mut resolution) = start(vec![good(1, 1), bad(), bad(), bad(), good(2, 1)]);
    resolution.wait_for(|r| r.failed == 3).await.unwrap();
    assert!(resolution.borrow().is_stale());
    assert_eq!(resolution.borrow().found.len(), 1);
    resolution.wait_for(|r| r.succeeded == 2).await.unwrap();
    assert!(!resolution.borrow().is_stale());
}

#[tokio::test(start_paused = true)]
async fn stops_asking_when_nobody_listens() {
    let (script, resolution) = start(vec![good(1, 1)]);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    drop(resolution);
    let asked = script.asked.lock().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(script.asked.lock().len(), asked);
}

#[tokio::test(start_paused = true)]
async fn services_are_hosts_with_ports_weights_and_tiers() {
    let service = |port, priority, weight| Service {
        host: format!("host-{port}"),
        port,
        priority,
        weight,
    };
    let script = Scripted {
        answers: Arc::new(Mutex::new(vec![good(1, 60), good(2, 5)])),
        services: Arc::new(Mutex::new(Some(Services {
            services: vec![service(81, 10, 3), service(82, 20, 0)],
            ttl: Duration::from_secs(30),
        }))),
        ..Scripted::default()
    };
    let mut resolution = watch_dns(
        script.clone(),
        "_http._tcp.users".into(),
        Question::Services,
        Arc::default(),
        Params::default(),
    );
    let begun = Instant::now();
    resolution.wait_for(|r| r.succeeded == 1).await.unwrap();
    let found: Vec<(String, u16, u32)> = resolution
        .borrow()
        .found
        .iter()
        .map(|found| (found.address.to_string(), found.tier, found.weight))
        .collect();
    let wanted = [("127.0.0.1:81", 10, 3), ("127.0.0.2:82", 20, 1)];
    assert_eq!(found, wanted.map(|(a, t, w)| (a.to_owned(), t, w)));
    // The shortest time to live of all of them counts.
    resolution.wait_for(|r| r.succeeded == 2).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
    *script.services.lock() = None;
    resolution.wait_for(|r| r.failed == 1).await.unwrap();
    assert_eq!(
        resolution.borrow().found.len(),
        2,
        "the last good set is kept"
    );
}
