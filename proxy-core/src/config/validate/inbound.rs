//! The rules of inbound entries: what they do not share with outbound ones.

use super::Check;
use crate::config::{Inbound, OrOff, ProxyProtocol};

impl Check<'_> {
    pub(super) fn proxy_protocol(&mut self, above: &[&str], accepted: &OrOff<ProxyProtocol>) {
        if let OrOff::On(accepted) = accepted
            && accepted.from.is_empty()
        {
            let at = [above, &["proxy-protocol", "from"]].concat();
            let help = "write the addresses of those who send the header, such as `[10.0.0.0/8]`";
            self.wrong(&at, "nobody could connect", help);
        }
    }

    /// The rules of what an inbound entry does not share with an outbound one.
    pub(super) fn inbound(&mut self, name: &str, entry: &Inbound) {
        self.proxy_protocol(&[self.section, name], &entry.proxy_protocol);
        if let Some(tls) = &entry.tls {
            self.inbound_tls(name, tls);
        }
        let scheme = entry.to.scheme;
        if scheme.is_tls() {
            let plain = if scheme.is_http() { "http" } else { "tcp" };
            let message = format!("`{scheme}` is not spoken to a workload of the same pod");
            let help = format!("write `{plain}://{}`", entry.to.authority());
            self.wrong(&[self.section, name, "to"], message, help);
        }
        if !scheme.is_http() && entry.tls.as_ref().is_some_and(|tls| !tls.hosts.is_empty()) {
            let at = [self.section, name, "tls", "hosts"];
            let message = "of bytes it is not known which host they are for";
            self.wrong(&at, message, "leave it out");
        }
        if !scheme.is_http() && entry.forwarded != OrOff::default() {
            let message = "`forwarded` is about requests, and this entry carries bytes";
            self.wrong(&[self.section, name, "forwarded"], message, "leave it out");
        }
        for (path, policy) in &entry.paths {
            if policy
                .hedge
                .as_ref()
                .is_some_and(|hedge| *hedge != OrOff::Off)
            {
                let at = [self.section, name, "paths", path, "hedge"];
                let message = "there is only one workload, and a second try would meet it again";
                self.wrong(&at, message, "leave it out");
            }
        }
    }
}
