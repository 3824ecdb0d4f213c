//! Settings that are well-formed, and could never do anything, or never come to an end.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Check;
use crate::config::{Entry, Host, ListenAddress, ListenHost, OrOff, To};

impl Check<'_> {
    /// A try that may take longer than all tries of its request together.
    pub(super) fn tries_end(&mut self, above: &[&str], entry: &Entry) {
        if let (OrOff::On(request), OrOff::On(each)) = (entry.timeout.request, entry.timeout.r#try)
            && each > request
        {
            let at = [above, &["timeout", "try"]].concat();
            let message = format!("a try of {each} cannot end before its request, at {request}");
            self.wrong(&at, message, "write less, or more for `request`");
        }
    }

    /// Of two paths that are the same by whole segments one would get nothing.
    pub(super) fn paths_differ(&mut self, above: &[&str], entry: &Entry) {
        let mut known: HashMap<&str, &String> = HashMap::new();
        for path in entry.paths.keys() {
            if let Some(other) = known.insert(path.trim_end_matches('/'), path) {
                let message = format!("`{path}` is the same path as `{other}`");
                let at = [above, &["paths", path]].concat();
                self.wrong(&at, message, "write one of them, with all of its policies");
            }
        }
    }

    /// Nothing may lead to where it came from: each request would be the next one.
    pub(super) fn leads_on(&mut self, at: &[&str], listen: ListenAddress, to: &To) {
        for target in &to.targets {
            if target.to.port == listen.port && listen.port != 0 && is_at(listen, &target.to.host) {
                let authority = target.to.authority();
                let message = format!("`{authority}` is where this entry listens itself");
                let help = "write where the service listens";
                self.wrong(&[at, &["to"]].concat(), message, help);
            }
        }
    }
}

/// Whether a listener takes connections to a host of this machine.
fn is_at(listen: ListenAddress, host: &Host) -> bool {
    let is_own = |ip: IpAddr| match listen.host {
        ListenHost::Ip(own) => own == ip || own.is_unspecified() && ip.is_loopback(),
        ListenHost::Localhost => listen.sockets().iter().any(|own| own.ip() == ip),
        ListenHost::All => ip.is_loopback(),
    };
    let loopback = || ListenAddress::localhost(0).sockets();
    match host {
        Host::Ip(ip) => is_own(*ip) || ip.is_unspecified(),
        Host::Name(name) => name == "localhost" && loopback().iter().any(|own| is_own(own.ip())),
        Host::Unix(_) => false,
    }
}
