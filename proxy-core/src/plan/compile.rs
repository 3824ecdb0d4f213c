//! From the configuration's words to the components' numbers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;

use super::{EntryPlan, HealthPlan, HttpPlan, Plan, ServicePlan, Source, Target, TcpPlan};
use super::{inbound, mirror, obtained, policy};
use crate::acme;
use crate::balance::{CheckParams, EjectParams, HashOn, Policy};
use crate::config::{
    self, AccessLog, Alpn, Discover, Document, Entry, Errors, Host, InFlight, OrOff, Scheme,
    Section, Url, Workers,
};
use crate::discovery::ResolverParams;
use crate::http::{Allowed, ClientParams, ProbeQuestion, Protocol, ServerParams};
use crate::net::proxy_protocol::Version;
use crate::resilience::limit;
use crate::telemetry::Which;
use crate::tls;

/// How long a request's head may take from its first byte (nginx's `client_header_timeout` is 60 s, Apache's 20 s).
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// What a configuration needs to know of the machine.
pub struct World<'a> {
    /// What `workers: auto` means.
    pub cpus: usize,
    /// Reads a variable of the environment, for `discover: env`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Sees whether certificates and keys can be used.
    pub usable: &'a dyn Fn(&tls::Params) -> Result<(), tls::Unusable>,
    /// The same of those that are shown to callers.
    pub servable: &'a dyn Fn(&tls::AcceptorParams) -> Result<(), tls::Invalid>,
    /// Reads a file of at most 1 MiB that is to be sent to clients.
    pub read: &'a dyn Fn(&str) -> std::io::Result<Vec<u8>>,
}

/// Compiles the section of the document's role. All errors are reported, each at its place.
pub fn compile(document: &Document, world: &World<'_>) -> Result<Plan, Errors> {
    let config = &document.config;
    let workers = match config.workers {
        Workers::Auto => world.cpus.max(1),
        Workers::Fixed(count) => count.value() as usize,
    };
    let process = Process {
        workers,
        explain: match config.explain {
            config::Explain::All => Allowed::All,
            config::Explain::Local => Allowed::Local,
            config::Explain::Off => Allowed::Nobody,
        },
    };
    let entries = entries(document, world, &process)?;
    Ok(Plan {
        admin: config
            .admin
            .on()
            .map(config::ListenAddress::sockets)
            .unwrap_or_default(),
        workers,
        access_log: match config.access_log {
            AccessLog::All => Which::All,
            AccessLog::Errors => Which::Errors,
            AccessLog::Off => Which::Off,
        },
        splice: config.splice,
        drain_delay: config.drain.delay.std(),
        drain_quiet: !document.section().is_inbound(),
        drain_timeout: config.drain.timeout.std(),
        resolver: ResolverParams {
            servers: config.dns.servers.iter().map(|server| server.0).collect(),
            timeout: config.dns.timeout.std(),
            attempts: config.dns.attempts.value() as usize,
        },
        entries,
    })
}

/// The entries of the file, each before those of its mirrors.
fn entries(
    document: &Document,
    world: &World<'_>,
    process: &Process,
) -> Result<Vec<EntryPlan>, Errors> {
    let mut compiler = Compiler {
        document,
        world,
        process,
        errors: Vec::new(),
    };
    let section = document.section();
    if document.listeners().is_empty() {
        let help = match section {
            Section::Ambassador => {
                "write an entry: `users: {listen: localhost:9000, to: http://users:8080}`"
            }
            Section::Sidecar => "write an entry: `web: {listen: :8443, to: http://localhost:8080}`",
            Section::Ingress => {
                "write an entry: `web: {listen: :8080, routes: {shop.example.com: http://shop:8080}}`"
            }
        };
        compiler.wrong(&[section.as_str()], "there is nothing to serve", help);
    }
    let mut entries = match section {
        Section::Ambassador | Section::Sidecar => compiler.entries(),
        #[cfg(feature = "gateway")]
        Section::Ingress => super::ingress::entries(document, &mut compiler),
        #[cfg(not(feature = "gateway"))]
        Section::Ingress => {
            let help = "run the ingress, or build with the feature `gateway`";
            compiler.wrong(&[section.as_str()], "this program has no routes", help);
            Vec::new()
        }
    };
    Errors::check(compiler.errors)?;
    obtained::answered_in_plain(&mut entries);
    Ok(entries)
}

/// Compiles entries, and keeps what is wrong with them.
pub(super) struct Compiler<'w> {
    document: &'w Document,
    world: &'w World<'w>,
    process: &'w Process,
    errors: Vec<config::Error>,
}

impl<'w> Compiler<'w> {
    /// Keeps an error at this place.
    pub(super) fn wrong(
        &mut self,
        at: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors.push(self.document.error_at(at, message, help));
    }

    /// Sees whether certificates can be shown to callers of the entry that stands `at` this place, and who vouches
    /// for an authority that they are obtained from.
    pub(super) fn servable(
        &mut self,
        accept: &tls::AcceptorParams,
        acme: Option<&acme::Params>,
        at: &[&str],
    ) {
        let reached = acme.map(acme::Params::reached);
        if let Some(Err(unusable)) = reached.as_ref().map(self.world.usable) {
            let at = [at, &["tls", "acme", "ca"]].concat();
            self.wrong(&at, unusable.message, unusable.help);
        }
        if let Err(invalid) = (self.world.servable)(accept) {
            self.errors
                .push(inbound::located(invalid, accept, self.document, at));
        }
    }

    /// What is known of the machine.
    #[cfg(feature = "gateway")]
    pub(super) fn world(&self) -> &'w World<'w> {
        self.world
    }

    /// What every entry takes from the settings of the process.
    #[cfg(feature = "gateway")]
    pub(super) fn process(&self) -> &'w Process {
        self.process
    }

    /// The plan of an entry that stands `at` this place.
    pub(super) fn entry(&mut self, name: &str, at: &[&str], entry: &Entry) -> Option<EntryPlan> {
        let whereto = whereto(self.document, at, entry, self.world, &mut self.errors)?;
        Some(compile_entry(name, entry, whereto, self.process))
    }

    fn entries(&mut self) -> Vec<EntryPlan> {
        let document = self.document;
        let section = document.section().as_str();
        let mut entries = Vec::new();
        for (key, entry) in &document.entries() {
            let (name, at) = (key.as_str(), [section, key.as_str()]);
            let mut plan = self.entry(name, &at, entry);
            if let (Some(plan), Some(inbound)) = (&mut plan, document.config.sidecar.get(*key)) {
                inbound::complete(plan, inbound);
                if let Some(accept) = &plan.accept {
                    self.servable(accept, plan.acme.as_ref(), &at);
                }
            }
            entries.extend(plan);
            for mirror in mirror::all(name, entry) {
                let below = mirror.at.iter().map(String::as_str);
                let at: Vec<&str> = at.into_iter().chain(below).collect();
                let plan = self.entry(&mirror.name, &at, &mirror.entry);
                entries.extend(plan.map(mirror::Written::hidden));
            }
        }
        entries
    }
}

/// The targets of an entry, and how they are spoken to inside TLS.
type Whereto = (Vec<Target>, Option<tls::Params>);

/// What every entry takes from the settings of the process.
pub(super) struct Process {
    workers: usize,
    explain: Allowed,
}

fn compile_entry(
    name: &str,
    entry: &Entry,
    (targets, tls): Whereto,
    process: &Process,
) -> EntryPlan {
    let service = match entry.to.scheme() {
        Some(Scheme::Tcp | Scheme::Tls) => ServicePlan::Tcp(TcpPlan {
            balance: picking(&entry.balance),
            connect: entry.timeout.connect.std(),
            attempts: entry.retry.on().map_or(0, |retry| retry.attempts.value()),
            idle: duration(&entry.timeout.idle),
            send_proxy: send_proxy(entry),
        }),
        _ => ServicePlan::Http(Box::new(compile_http(name, entry, process))),
    };
    let eject = entry.eject.on().map(|eject| EjectParams {
        failures: eject.failures.value(),
        share: eject.share.on().map(|share| share.fraction()),
        // By a hash, endpoints get different requests: one of them may well be slower.
        slow: match entry.balance {
            config::Balance::Hash(_) => None,
            _ => eject.slow.on().map(|times| times.value()),
        },
        period: eject.r#for.std(),
        at_most: eject.at_most.fraction(),
        recover: eject.recover.std(),
    });
    EntryPlan {
        name: Arc::from(name),
        listen: entry.listen.sockets(),
        targets,
        tls,
        proxied: None,
        accept: None,
        acme: None,
        passthrough: Vec::new(),
        is_mirror: false,
        eject,
        subset: entry.subset.on().map(|most| most.value() as usize),
        health: entry
            .health
            .on()
            .map(|health| compile_health(entry, health)),
        service,
    }
}

/// Where an entry that stands `at` this place leads and how that is spoken to; none where it is wrong.
fn whereto(
    document: &Document,
    at: &[&str],
    entry: &Entry,
    world: &World<'_>,
    errors: &mut Vec<config::Error>,
) -> Option<Whereto> {
    let tls = entry.tls.as_ref().map(compile_tls);
    if let Some(Err(unusable)) = tls.as_ref().map(world.usable) {
        errors.push(located(unusable, document, at));
    }
    let targets = targets(entry, world.env).map_err(|(message, help)| {
        let path = [at, &["to"]].concat();
        errors.push(document.error_at(&path, message, help));
    });
    targets.ok().map(|targets| (targets, tls))
}

/// A certificate or a key that cannot be used, at the place of its file.
fn located(unusable: tls::Unusable, document: &Document, at: &[&str]) -> config::Error {
    let key = match unusable.part {
        tls::Part::Ca => "ca",
        tls::Part::Certificate => "cert",
        tls::Part::Key => "key",
    };
    let path = [at, &["tls", key]].concat();
    document.error_at(&path, unusable.message, unusable.help)
}

/// The version of HTTP that is spoken to the upstream.
fn protocol(entry: &Entry) -> Protocol {
    match (entry.to.scheme(), &entry.tls) {
        (Some(Scheme::H2c), _) => Protocol::Http2,
        (Some(Scheme::Https), Some(tls)) if !tls.alpn.contains(&Alpn::Http1) => Protocol::Http2,
        (Some(Scheme::Https), Some(tls)) if !tls.alpn.contains(&Alpn::Http2) => Protocol::Http1,
        (Some(Scheme::Https), _) => Protocol::Negotiated,
        _ => Protocol::Http1,
    }
}

fn compile_tls(tls: &config::Tls) -> tls::Params {
    let identity = tls.cert.as_ref().zip(tls.key.as_ref());
    tls::Params {
        ca: tls.ca.as_ref().map(Into::into),
        identity: identity.map(|(cert, key)| (cert.into(), key.into())),
        name: tls.name.clone(),
        spiffe: tls.spiffe.clone(),
    }
}

fn compile_health(entry: &Entry, health: &config::Health) -> HealthPlan {
    let path = health.path.clone().unwrap_or_else(|| "/".to_owned());
    let question = match (entry.to.scheme(), protocol(entry), &health.grpc) {
        (Some(Scheme::Tcp | Scheme::Tls), ..) => ProbeQuestion::Connection,
        (_, Protocol::Http2 | Protocol::Negotiated, Some(service)) => {
            ProbeQuestion::Grpc(service.clone())
        }
        (_, Protocol::Http2, None) => ProbeQuestion::Http2(path),
        (_, Protocol::Negotiated, None) => ProbeQuestion::Either(path),
        (_, Protocol::Http1, _) => ProbeQuestion::Http1(path),
    };
    HealthPlan {
        params: CheckParams {
            every: health.every.std(),
            failures: health.failures.value(),
            successes: health.successes.value(),
        },
        question,
        timeout: health.timeout.std(),
        gates: false,
    }
}

pub(super) fn compile_http(name: &str, entry: &Entry, process: &Process) -> HttpPlan {
    let protocol = protocol(entry);
    let idle = duration(&entry.timeout.idle);
    // The file speaks of the whole process, each worker has its own pool.
    let share = |all: u32| (all as usize).div_ceil(process.workers);
    HttpPlan {
        server: ServerParams {
            idle,
            head: HEAD,
            max_headers: entry.max_headers.len(),
            keep_case: protocol != Protocol::Http2,
        },
        explain: process.explain,
        forward: None,
        client_cert: false,
        challenges: Vec::new(),
        tunnel_idle: idle,
        limit: match entry.limit.in_flight {
            InFlight::Off => None,
            InFlight::Fixed(count) => Some(limit::Params::Fixed(count.value())),
            InFlight::Adaptive => Some(limit::Params::Adaptive),
        },
        deadline_field: entry.timeout.field.on().map(|name| name.0.clone()),
        policy: policy::of_entry(name, entry),
        paths: policy::of_paths(name, entry),
        balance: picking(&entry.balance),
        client: ClientParams {
            protocol,
            connect: entry.timeout.connect.std(),
            connections: share(entry.pool.connections.value()),
            pending: share(entry.pool.pending.value()),
            streams: entry.pool.streams.value() as usize,
            idle: entry.pool.idle.std(),
            age: duration(&entry.pool.age),
            max_headers: entry.max_headers.len(),
            repeatable: policy::repeatable(entry),
            keep_host: entry.host == config::HostPolicy::Keep,
        },
        #[cfg(feature = "gateway")]
        routes: None,
        send_proxy: send_proxy(entry),
    }
}

fn send_proxy(entry: &Entry) -> Option<Version> {
    entry.send_proxy.on().map(|version| match version {
        config::ProxyVersion::V1 => Version::V1,
        config::ProxyVersion::V2 => Version::V2,
    })
}

fn picking(balance: &config::Balance) -> Policy {
    match balance {
        config::Balance::P2c => Policy::P2c,
        config::Balance::Least => Policy::Least,
        config::Balance::RoundRobin => Policy::RoundRobin,
        config::Balance::Hash(on) => Policy::Hash(match on {
            config::HashOn::Header(name) => HashOn::Header(name.0.clone()),
            config::HashOn::Cookie(name) => HashOn::Cookie(name.clone()),
            config::HashOn::Source => HashOn::Source,
        }),
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

fn targets(entry: &Entry, env: Env<'_>) -> Result<Vec<Target>, (String, &'static str)> {
    let discovery = entry.discovery();
    let target = |target: &config::Target| {
        let url = &target.to;
        let text = authority(url, &discovery);
        let authority = Authority::try_from(text.as_str()).map_err(|_| {
            let message = format!("`{text}` cannot be used in a Host field");
            (message, "write a host name or an IP address")
        })?;
        let (source, port) = match (&discovery, &url.host) {
            (Discover::File(path), _) => (Source::File(path.into()), url.port),
            (_, Host::Ip(ip)) => (Source::Fixed(*ip), url.port),
            (_, Host::Unix(path)) => (Source::Unix(Path::new(path).into()), url.port),
            (Discover::Srv, Host::Name(name)) => (Source::Srv(name.clone()), url.port),
            (Discover::Env, Host::Name(name)) => from_env(url, name, env)?,
            (_, Host::Name(name)) => (Source::Dns(name.clone()), url.port),
        };
        Ok(Target {
            source,
            port,
            authority,
            weight: target.weight.value(),
        })
    };
    entry.to.targets.iter().map(target).collect()
}

/// What the upstream is told: without the port where it is the scheme's own (RFC 9110, 7.2), and
/// without the labels of a service's name that are no host's.
fn authority(url: &Url, discovery: &Discover) -> String {
    if let Host::Unix(_) = url.host {
        // A path is no authority: it is called as nginx and curl call it.
        return "localhost".to_owned();
    }
    let mut host = url.host.to_string();
    if *discovery == Discover::Srv {
        let rest = host.split('.').skip_while(|label| label.starts_with('_'));
        let rest: Vec<&str> = rest.collect();
        if !rest.is_empty() {
            host = rest.join(".");
        }
    }
    if url.scheme.default_port() == Some(url.port) {
        host
    } else {
        format!("{host}:{}", url.port)
    }
}

/// The variables that Kubernetes makes of a service of the pod's namespace: `NAME_SERVICE_HOST`, and
/// the port, which is that of the URL, or the one that is named like its scheme, or the first.
fn from_env(url: &Url, name: &str, env: Env<'_>) -> Result<(Source, u16), (String, &'static str)> {
    let service = name.split('.').next().unwrap_or_default();
    let service = service.to_ascii_uppercase().replace('-', "_");
    let host = format!("{service}_SERVICE_HOST");
    let address = env(&host).ok_or_else(|| {
        let help = "Kubernetes sets it in pods that start after the service is there; `discover: dns` needs no variable";
        (format!("the variable {host} is not set"), help)
    })?;
    let source = match address.parse() {
        Ok(ip) => Source::Fixed(ip),
        Err(_) => Source::Dns(address),
    };
    if url.scheme.default_port() != Some(url.port) {
        return Ok((source, url.port));
    }
    let scheme = url.scheme.as_str().to_ascii_uppercase();
    let named = [
        format!("{service}_SERVICE_PORT_{scheme}"),
        format!("{service}_SERVICE_PORT"),
    ];
    let Some((variable, port)) = named.iter().find_map(|name| Some((name, env(name)?))) else {
        let message = format!("the variable {} is not set", named[1]);
        return Err((message, "write the port behind the name"));
    };
    let port = port.parse().map_err(|_| {
        let message = format!("the variable {variable} holds `{port}`, which is not a port");
        (message, "write the port behind the name")
    })?;
    Ok((source, port))
}

pub(super) fn duration(value: &OrOff<config::Duration>) -> Option<Duration> {
    value.on().map(|duration| duration.std())
}
