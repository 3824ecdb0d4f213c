//! A proxy to measure, the ports around it, and the names of those that are known.

use std::path::PathBuf;

/// The name of the proxy that ratios refer to.
pub(crate) const BASELINE: &str = "haproxy";
/// The names of our own proxies.
pub(crate) const AMBASSADOR: &str = "ambassador";
pub(crate) const SIDECAR: &str = "sidecar";
pub(crate) const INGRESS: &str = "ingress";
/// What is measured unless `--proxies` says otherwise, in the order of the tables.
pub(crate) const DEFAULT: [&str; 4] = [AMBASSADOR, BASELINE, "nginx", "envoy"];

/// The ports of a run, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Where the proxy serves HTTP/1.1.
    pub(crate) http: u16,
    /// Where proxies serve HTTP/2 that cannot tell it from HTTP/1.1 on one port.
    pub(crate) h2c: u16,
    /// Where the origin listens.
    pub(crate) origin: u16,
}

/// One proxy, ready to be started any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The file whose size is reported.
    pub(crate) binary: PathBuf,
    pub(crate) command: Vec<String>,
    /// Where it takes HTTP/2 with prior knowledge, if that is another port than that of HTTP/1.1.
    pub(crate) h2c: Option<u16>,
}
