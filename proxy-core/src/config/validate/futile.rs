//! Settings that are well-formed, and could never do anything, or never come to an end.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Check;
use crate::config::{Discover, Duration, Entry, Host, ListenAddress, OrOff, PathPolicy, To};

impl Check<'_> {
    /// A try that may take longer than all tries of its request together.
    pub(super) fn tries_end(&mut self, above: &[&str], entry: &Entry) {
        let own = entry.timeout.request;
        self.try_ends(above, own, entry.timeout.r#try);
        for (path, PathPolicy { timeout, .. }) in &entry.paths {
            if let Some(each) = timeout.r#try {
                let at = [above, &["paths", path]].concat();
                self.try_ends(&at, timeout.request.unwrap_or(own), each);
            }
        }
    }

    fn try_ends(&mut self, above: &[&str], request: OrOff<Duration>, each: OrOff<Duration>) {
        if let (OrOff::On(request), OrOff::On(each)) = (request, each)
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

    /// Nothing may lead to where it came from: each request would be the next one. What is found elsewhere than in `to`
    /// is not known.
    pub(super) fn leads_on(
        &mut self,
        at: &[&str],
        listen: ListenAddress,
        (to, discover): (&To, Option<&Discover>),
    ) {
        if !matches!(discover, None | Some(Discover::Dns | Discover::Static)) {
            return;
        }
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

/// Whether a listener takes all connections to a host of this machine.
fn is_at(listen: ListenAddress, host: &Host) -> bool {
    let sockets = listen.sockets();
    let is_own = |ip: IpAddr| {
        let takes = |own: IpAddr| own.is_unspecified() && ip.is_loopback();
        let mut own = sockets.iter().map(SocketAddr::ip);
        own.any(|own| own == ip || own.is_ipv4() == ip.is_ipv4() && takes(own))
    };
    match host {
        // Where a connection to no address in particular leads (ip(7)).
        Host::Ip(IpAddr::V4(ip)) if ip.is_unspecified() => is_own(Ipv4Addr::LOCALHOST.into()),
        Host::Ip(IpAddr::V6(ip)) if ip.is_unspecified() => is_own(Ipv6Addr::LOCALHOST.into()),
        Host::Ip(ip) => is_own(*ip),
        Host::Name(name) => {
            let loopback = ListenAddress::localhost(0).sockets();
            name == "localhost" && loopback.iter().all(|loopback| is_own(loopback.ip()))
        }
        Host::Unix(_) => false,
    }
}
