//! The rules that join several values, or bind a value in one place only.

mod futile;
#[cfg(feature = "gateway")]
mod gateway;
mod inbound;

use super::{
    Alpn, Balance, ClientCertificate, Discover, Document, Duration, Entry, Error, HashOn, Hedge,
    Host, InboundTls, Inject, Limit, ListenAddress, Mirror, OrOff, Scheme, Size, Tls, To,
    listen::Taken,
};

/// Checks a document. Values that were reported before are passed over.
pub(crate) fn validate(document: &Document) -> Vec<Error> {
    let mut check = Check {
        document,
        section: document.section().as_str(),
        errors: Vec::new(),
    };
    check.above_zero(&["dns", "timeout"], document.config.dns.timeout, "");
    for (name, entry) in document.entries() {
        check.entry(&[check.section, name.as_str()], &entry);
    }
    for (name, entry) in &document.config.sidecar {
        check.inbound(name.as_str(), entry);
    }
    #[cfg(feature = "gateway")]
    for (name, gateway) in &document.config.ingress {
        check.gateway(name.as_str(), gateway);
    }
    check.listeners();
    check.errors
}

pub(super) struct Check<'d> {
    document: &'d Document,
    /// The key that the entries stand below.
    pub(super) section: &'static str,
    errors: Vec<Error>,
}

impl Check<'_> {
    pub(super) fn wrong(
        &mut self,
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if !self.document.is_wrong(path) {
            self.errors
                .push(self.document.error_at(path, message, help));
        }
    }

    pub(super) fn entry(&mut self, above: &[&str], entry: &Entry) {
        self.targets(above, &entry.to, entry.discover.as_ref());
        let to = (&entry.to, entry.discover.as_ref());
        self.leads_on(above, entry.listen, to);
        self.tries_end(above, entry);
        self.paths_differ(above, entry);
        let (timeout, pool) = (&entry.timeout, &entry.pool);
        let off = ", or `off` for no limit";
        self.limit(above, &["timeout", "request"], &timeout.request, off);
        self.limit(above, &["timeout", "try"], &timeout.r#try, off);
        self.limit(above, &["timeout", "idle"], &timeout.idle, off);
        let connect = OrOff::On(timeout.connect);
        self.limit(above, &["timeout", "connect"], &connect, "");
        self.limit(above, &["pool", "age"], &pool.age, off);
        self.limit(above, &["pool", "idle"], &OrOff::On(pool.idle), "");
        if let OrOff::On(eject) = &entry.eject {
            self.limit(above, &["eject", "for"], &OrOff::On(eject.r#for), "");
        }
        self.backoff(above, entry);
        self.hash(above, entry);
        self.tls(above, &entry.to, entry.tls.as_ref());
        self.health(above, entry);
        self.send_proxy(above, entry);
        self.policies(above, entry);
        self.max_headers(above, entry.max_headers);
    }

    pub(super) fn max_headers(&mut self, above: &[&str], size: Size) {
        if size < Size::from_kib(1) || size > Size::from_kib(1024) {
            let message = format!("{size} is out of range");
            let at = [above, &["max-headers"]].concat();
            self.wrong(&at, message, "write a size from `1KiB` to `1MiB`");
        }
    }

    /// The rules of `tls` towards callers.
    pub(super) fn inbound_tls(&mut self, name: &str, tls: &InboundTls) {
        let at = [self.section, name, "tls"];
        if tls.cert.is_some() != tls.key.is_some() {
            let help = "write both: `{cert: FILE, key: FILE}`";
            self.wrong(&at, "a certificate and its key go together", help);
        } else if tls.cert.is_none() && tls.folder.is_none() && tls.acme.is_none() {
            let help =
                "write `{cert: FILE, key: FILE}` or `{folder: PATH}`, or `acme` to obtain one";
            self.wrong(&at, "there is no certificate to show", help);
        }
        if let Some(acme) = &tls.acme {
            for (below, message, help) in acme.mistakes(self.answers_in_plain()) {
                let below: Vec<&str> = below.iter().map(String::as_str).collect();
                self.wrong(&[&at[..], &["acme"], &below].concat(), message, help);
            }
        }
        self.clients(&at, tls.client_ca.is_some(), (tls.client, &tls.crl));
        for (host, rules) in &tls.hosts {
            let at = [self.section, name, "tls", "hosts", host];
            self.clients(&at, rules.client_ca.is_some(), (rules.client, &rules.crl));
        }
    }

    /// Whether an entry of HTTP listens without TLS.
    fn answers_in_plain(&self) -> bool {
        let config = &self.document.config;
        let mut inbound = config.sidecar.values();
        #[cfg(feature = "gateway")]
        if config
            .ingress
            .values()
            .any(|one| one.tls.is_none() && one.passthrough.is_empty())
        {
            return true;
        }
        inbound.any(|one| one.tls.is_none() && one.to.scheme.is_http())
    }

    /// Rules for certificates that nobody is asked for are a mistake.
    fn clients(
        &mut self,
        at: &[&str],
        has_ca: bool,
        rules: (Option<ClientCertificate>, &Vec<String>),
    ) {
        let help = "write `client-ca: FILE`, or leave it out";
        let (client, crl) = rules;
        for (key, is_set) in [("crl", !crl.is_empty()), ("client", client.is_some())] {
            if is_set && !has_ca {
                let at = [at, &[key]].concat();
                self.wrong(&at, "no client is asked for a certificate", help);
            }
        }
    }

    /// The rules of `to` and `discover`.
    pub(super) fn targets(&mut self, at: &[&str], to: &To, discover: Option<&Discover>) {
        let path = [at, &["to"]].concat();
        if let Some(Discover::File(_)) = discover
            && to.targets.len() > 1
        {
            let message = "a file holds all endpoints of its entry";
            self.wrong(
                &path,
                message,
                "write one URL: its scheme and authority count",
            );
        }
        let Some(scheme) = to.scheme() else {
            return self.wrong(&path, "`to` is an empty list", "write at least one URL");
        };
        for (number, target) in to.targets.iter().enumerate() {
            let number = number.to_string();
            let listed = [&path[..], &[&number]].concat();
            if target.to.scheme != scheme {
                let message = format!("`{}` among `{scheme}` URLs", target.to.scheme);
                let help = format!(
                    "all URLs of one entry have one scheme: write `{scheme}://{}`",
                    target.to.authority()
                );
                self.wrong(&listed, message, help);
            }
            match (discover, &target.to.host) {
                (Some(Discover::Static), Host::Name(host)) => {
                    let message =
                        format!("`{host}` is a name, and `discover: static` takes addresses");
                    self.wrong(&listed, message, "write an IP address, or `discover: dns`");
                }
                (Some(Discover::Srv | Discover::Env), Host::Ip(ip)) => {
                    let message = format!("`{ip}` is an address, and there is nothing to find");
                    self.wrong(&listed, message, "write a name, or `discover: static`");
                }
                (Some(Discover::Srv | Discover::Env | Discover::File(_)), Host::Unix(path)) => {
                    let message =
                        format!("`unix:{path}` is a Unix socket, and there is nothing to find");
                    self.wrong(&listed, message, "write a name, or leave `discover` out");
                }
                (Some(Discover::Srv), Host::Name(host))
                    if scheme
                        .default_port()
                        .is_some_and(|port| port != target.to.port) =>
                {
                    let message = "the port is that of the SRV record";
                    self.wrong(&listed, message, format!("write `{scheme}://{host}`"));
                }
                _ => {}
            }
        }
    }

    fn backoff(&mut self, above: &[&str], entry: &Entry) {
        let OrOff::On(retry) = &entry.retry else {
            return;
        };
        let [least, most] = [
            [above, &["retry", "backoff"]].concat(),
            [above, &["retry", "max-backoff"]].concat(),
        ];
        if retry.max_backoff >= retry.backoff || self.document.is_wrong(&least) {
            return;
        }
        let message = format!(
            "`max-backoff` {} is less than `backoff` {}",
            retry.max_backoff, retry.backoff
        );
        self.wrong(
            &most,
            message,
            format!("write at least `{}`", retry.backoff),
        );
    }

    pub(super) fn limit(
        &mut self,
        above: &[&str],
        below: &[&str],
        limit: &OrOff<Duration>,
        or: &str,
    ) {
        if let OrOff::On(limit) = limit
            && limit.is_zero()
        {
            self.above_zero(&[above, below].concat(), *limit, or);
        }
    }

    fn above_zero(&mut self, path: &[&str], duration: Duration, or: &str) {
        if duration.is_zero() {
            self.wrong(path, "no time at all", format!("write more than `0s`{or}"));
        }
    }

    fn health(&mut self, above: &[&str], entry: &Entry) {
        let OrOff::On(health) = &entry.health else {
            return;
        };
        let at = |key: &'static str| [above, &["health", key]].concat();
        self.above_zero(&at("every"), health.every, "");
        self.above_zero(&at("timeout"), health.timeout, "");
        let scheme = entry.to.scheme();
        let speaks_http = scheme.is_none_or(Scheme::is_http);
        let speaks_http2 = match scheme {
            Some(Scheme::Https) => may_be_http2(entry),
            scheme => scheme == Some(Scheme::H2c),
        };
        match &health.path {
            Some(_) if !speaks_http => {
                let scheme = scheme.map_or("tcp", Scheme::as_str);
                let message = format!("a `{scheme}` entry only makes a connection");
                self.wrong(&at("path"), message, "leave `path` out");
            }
            Some(path) if !path.starts_with('/') || path.parse::<http::Uri>().is_err() => {
                let message = format!("`{path}` is not a path");
                self.wrong(&at("path"), message, "write one like `/healthz`");
            }
            _ => {}
        }
        match &health.grpc {
            Some(_) if !speaks_http2 => {
                let message = "gRPC needs HTTP/2";
                let help = "write `h2c://` or `https://` in `to`, or `path`";
                self.wrong(&at("grpc"), message, help);
            }
            Some(_) if health.path.is_some() => {
                self.wrong(&at("grpc"), "`grpc` beside `path`", "leave one of them out");
            }
            Some(service) if service.len() > 127 => {
                let message = "the name has more than 127 bytes";
                self.wrong(&at("grpc"), message, "write the service's full name");
            }
            _ => {}
        }
    }

    /// A connection of HTTP/2 carries the requests of many clients.
    fn send_proxy(&mut self, above: &[&str], entry: &Entry) {
        let help = match entry.to.scheme() {
            Some(Scheme::H2c) => "write `http://` in `to`, or leave it out",
            Some(Scheme::Https) if may_be_http2(entry) => "write `tls: {alpn: [http/1.1]}`",
            _ => return,
        };
        if entry.send_proxy != OrOff::Off {
            let message = "a connection of HTTP/2 is not one client's";
            self.wrong(&[above, &["send-proxy"]].concat(), message, help);
        }
    }

    /// The rules of what is done for requests, for the entry and for its paths.
    fn policies(&mut self, above: &[&str], entry: &Entry) {
        let of_http = entry.to.scheme().is_none_or(Scheme::is_http);
        for (key, is_set) in [
            ("hedge", entry.hedge != OrOff::Off),
            ("inject", entry.inject != OrOff::Off),
            ("mirror", entry.mirror != OrOff::Off),
            ("limit", entry.limit != Limit::default()),
            ("paths", !entry.paths.is_empty()),
        ] {
            if is_set && !of_http {
                let message = format!("`{key}` is about requests, and this entry carries bytes");
                self.wrong(&[above, &[key]].concat(), message, "leave it out");
            }
        }
        self.made_for(above, &entry.hedge, &entry.inject);
        self.mirror(above, entry.mirror.on());
        for (path, policy) in &entry.paths {
            let at = [above, &["paths", path]].concat();
            let is_path = path.starts_with('/') && !path.contains(['?', '#', ' ']);
            if !is_path || path.parse::<http::Uri>().is_err() {
                let help = "write one like `/reports`, without a query";
                self.wrong(&at, format!("`{path}` is not a path"), help);
            }
            for (key, limit) in [
                ("request", policy.timeout.request),
                ("try", policy.timeout.r#try),
            ] {
                let path = [&at[..], &["timeout", key]].concat();
                if let Some(OrOff::On(limit)) = limit {
                    self.above_zero(&path, limit, ", or `off` for no limit");
                }
            }
            let hedge = policy.hedge.clone().unwrap_or(OrOff::Off);
            let inject = policy.inject.clone().unwrap_or(OrOff::Off);
            self.made_for(&at, &hedge, &inject);
            self.mirror(&at, policy.mirror.as_ref().and_then(OrOff::on));
        }
    }

    fn made_for(&mut self, at: &[&str], hedge: &OrOff<Hedge>, inject: &OrOff<Inject>) {
        if let OrOff::On(hedge) = hedge {
            self.above_zero(&[at, &["hedge", "after"]].concat(), hedge.after, "");
        }
        let OrOff::On(inject) = inject else { return };
        if let Some(delay) = &inject.delay {
            let at = [at, &["inject", "delay", "for"]].concat();
            self.above_zero(&at, delay.r#for, "");
        }
        if inject.delay.is_none() && inject.abort.is_none() {
            let help =
                "write `delay: {share: 10%, for: 1s}`, `abort: {share: 10%, status: 503}` or both";
            self.wrong(&[at, &["inject"]].concat(), "nothing is made", help);
        }
    }

    fn mirror(&mut self, at: &[&str], mirror: Option<&Mirror>) {
        let Some(mirror) = mirror else { return };
        let at = [at, &["mirror"]].concat();
        self.targets(&at, &mirror.to, mirror.discover.as_ref());
        match mirror.to.scheme() {
            Some(scheme) if !scheme.is_http() => {
                let message = format!("a mirror gets requests, and `{scheme}` carries bytes");
                let help = "write `http://`, `h2c://` or `https://`";
                self.wrong(&[&at[..], &["to"]].concat(), message, help);
            }
            _ => self.tls(&at, &mirror.to, mirror.tls.as_ref()),
        }
    }

    fn tls(&mut self, above: &[&str], to: &To, tls: Option<&Tls>) {
        let (Some(tls), Some(scheme)) = (tls, to.scheme()) else {
            return;
        };
        let at = |key: &'static str| [above, &["tls", key]].concat();
        if !scheme.is_tls() {
            let secure = if scheme.is_http() { "https" } else { "tls" };
            let message = format!("`{scheme}` has no TLS");
            let help = format!("write `{secure}://` in `to`");
            return self.wrong(&[above, &["tls"]].concat(), message, help);
        }
        match (&tls.cert, &tls.key) {
            (Some(_), None) => {
                self.wrong(&at("cert"), "`cert` without its `key`", "add `key: FILE`")
            }
            (None, Some(_)) => {
                self.wrong(&at("key"), "`key` without its `cert`", "add `cert: FILE`")
            }
            _ => {}
        }
        if let Some(host) = &tls.name
            && rustls::pki_types::ServerName::try_from(host.as_str()).is_err()
        {
            let help = "write a host name such as `users.default`, or an IP address";
            self.wrong(&at("name"), format!("`{host}` is not a host"), help);
        }
        if let Some(id) = &tls.spiffe
            && !is_spiffe_id(id)
        {
            let help = "write one like `spiffe://cluster.local/ns/default/sa/users`";
            self.wrong(&at("spiffe"), format!("`{id}` is not a SPIFFE ID"), help);
        }
        if scheme == Scheme::Tls && tls.alpn != Tls::default().alpn {
            let message = "nothing is offered with `tls`: the bytes inside are the workload's own";
            return self.wrong(&at("alpn"), message, "leave it out");
        }
        if tls.alpn.is_empty() {
            let help = "write `h2`, `http/1.1` or both";
            self.wrong(&at("alpn"), "nothing is offered", help);
        }
    }

    /// A raw TCP connection has no fields.
    fn hash(&mut self, above: &[&str], entry: &Entry) {
        let of_http = matches!(
            entry.balance,
            Balance::Hash(HashOn::Header(_) | HashOn::Cookie(_))
        );
        if of_http && !entry.to.scheme().is_none_or(Scheme::is_http) {
            let message = "a TCP connection has neither headers nor cookies";
            let path = [above, &["balance"]].concat();
            self.wrong(&path, message, "write `{hash: source}`");
        }
    }

    /// No two listeners take the same address; the later one in the file, or the one
    /// of a flag, is the mistake.
    fn listeners(&mut self) {
        let config = &self.document.config;
        let mut all: Vec<(Vec<&str>, ListenAddress)> = Vec::new();
        if let OrOff::On(admin) = config.admin {
            all.push((vec!["admin"], admin));
        }
        for (name, listen) in self.document.listeners() {
            all.push((vec![self.section, name.as_str(), "listen"], listen));
        }
        all.sort_by_cached_key(|(path, _)| {
            let spot = self.document.spot(path);
            (spot.is_none(), spot)
        });
        let mut taken = Taken::default();
        for (number, (path, address)) in all.iter().enumerate() {
            let earlier = taken.take(number, address).and_then(|first| all.get(first));
            if let Some((earlier, _)) = earlier {
                let owner = earlier
                    .get(1)
                    .or(earlier.first())
                    .copied()
                    .unwrap_or_default();
                let message = format!("`{address}` is taken by `{owner}`");
                self.wrong(path, message, "give each listener its own port");
            }
        }
    }
}

/// Whether an endpoint of `https` may choose HTTP/2.
fn may_be_http2(entry: &Entry) -> bool {
    let offers = |tls: &Tls| tls.alpn.contains(&Alpn::Http2);
    entry.tls.as_ref().is_none_or(offers)
}

/// A trust domain, and segments of a path (SPIFFE-ID, section 2).
fn is_spiffe_id(text: &str) -> bool {
    let of_path = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_segment = |segment: &str| {
        !segment.is_empty() && ![".", ".."].contains(&segment) && segment.bytes().all(of_path)
    };
    let Some((domain, path)) = text
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    is_segment(domain) && path.split('/').all(is_segment)
}
