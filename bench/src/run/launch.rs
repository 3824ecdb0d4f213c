//! Starts a proxy and waits until it serves.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::child::{Cpus, Running};
use super::probe;
use crate::peer::Peer;

/// Starts a proxy and waits for its first 200 on `port`, looking every half millisecond.
pub(crate) fn launch(
    peer: &Peer,
    port: u16,
    cpus: Cpus,
    log: &Path,
) -> Result<(Running, Duration)> {
    let started = Instant::now();
    let mut proxy = Running::proxy(&peer.command, cpus, log.to_owned())?;
    while !probe::answers(port) {
        if let Some(status) = proxy.ended()? {
            bail!(
                "{} did not start ({status}): {}",
                peer.name,
                proxy.last_words()
            );
        }
        if started.elapsed() > Duration::from_secs(10) {
            bail!(
                "{} gave no 200 within 10 s: {}",
                peer.name,
                proxy.last_words()
            );
        }
        sleep(Duration::from_micros(500));
    }
    let took = started.elapsed();
    Ok((proxy, took))
}
