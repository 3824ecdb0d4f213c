//! What a gateway means: its listener, and an entry that listens nowhere for each upstream of its routes.
//!
//! So an upstream has discovery, pools, ejection, health checks, budgets and metrics of its own, as any entry
//! has. Routes that lead to the same upstream in the same way share one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use http::{Method, uri::Scheme as UriScheme};

use super::compile::{Compiler, compile_http};
use super::routes::{LeadsTo, RoutePlan, RouteTable, RoutesPlan};
use super::{EntryPlan, ServicePlan, filters, inbound, mirror, obtained};
use crate::config::{
    Document, Entry, EntryName, Gateway, InboundTls, Lead, ListenAddress, Route, RouteKey,
    RoutePath, To, Url, ValueMatch,
};
use crate::http::ForwardParams;
use crate::route::{self, ByHost, Field, Host, Match, Parameter, Value, canonical};

/// The entries of all gateways of the file: each after those that its routes lead to.
pub(super) fn entries(document: &Document, compiler: &mut Compiler<'_>) -> Vec<EntryPlan> {
    let mut entries = Vec::new();
    for (name, gateway) in &document.config.ingress {
        let mut compiling = Compiling {
            compiler,
            name,
            gateway,
            forward: forward(gateway),
            known: HashMap::new(),
            taken: HashSet::new(),
            entries: Vec::new(),
        };
        let listener = compiling.listener();
        entries.append(&mut compiling.entries);
        entries.extend(listener);
    }
    entries
}

fn forward(gateway: &Gateway) -> Option<ForwardParams> {
    let told = gateway.forwarded.on()?;
    Some(inbound::forward(told, gateway.tls.is_some()))
}

/// The hosts of a route.
fn host(key: &RouteKey) -> Result<Host, route::Error> {
    match key.host() {
        "" => Ok(Host::Any),
        host => host.parse(),
    }
}

struct Compiling<'c, 'w> {
    compiler: &'c mut Compiler<'w>,
    name: &'c EntryName,
    gateway: &'c Gateway,
    forward: Option<ForwardParams>,
    /// The entries that routes lead to, and their names, by where their first URL leads.
    known: HashMap<String, Vec<(Entry, Arc<str>)>>,
    taken: HashSet<String>,
    entries: Vec<EntryPlan>,
}

impl Compiling<'_, '_> {
    fn wrong(&mut self, below: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let at = [&["ingress", self.name.as_str()], below].concat();
        self.compiler.wrong(&at, message, help);
    }

    fn listener(&mut self) -> Option<EntryPlan> {
        let gateway = self.gateway;
        let passthrough = self.passthrough();
        let (table, routes) = self.routes();
        let pages = filters::pages(gateway, self.compiler.world());
        let pages = pages
            .map_err(|wrong| {
                let at: Vec<&str> = std::iter::once("errors").chain(wrong.below()).collect();
                self.wrong(&at, wrong.message.clone(), wrong.help.clone());
            })
            .unwrap_or_default();
        let hsts = self.checked(&["hsts"], filters::hsts(gateway))?;
        let compress = self.checked(&["compress"], filters::compress(gateway))?;
        // It sends nothing itself: what its requests lead to are other entries.
        let nowhere = To::from("http://localhost".parse::<Url>().ok()?);
        let mut entry = Entry::new(gateway.listen.0, nowhere);
        entry.timeout.idle = gateway.timeout.idle;
        entry.max_headers = gateway.max_headers;
        let mut http = compile_http(self.name.as_str(), &entry, self.compiler.process());
        http.forward = self.forward.clone();
        http.client_cert = true;
        http.routes = Some(Arc::new(RoutesPlan {
            table: table?,
            routes,
            pages,
            hsts,
            compress,
            elsewhere: passthrough.iter().cloned().collect(),
        }));
        let service = ServicePlan::Http(Box::new(http));
        let tls = gateway.tls.as_ref();
        tls.into_iter()
            .for_each(|tls| self.hosts(tls, &passthrough));
        let name = Arc::from(self.name.as_str());
        let acme = tls.and_then(|tls| obtained::params(&name, tls));
        let accept = tls.map(|tls| inbound::accept(tls, &service, acme.as_ref()));
        let at = ["ingress", self.name.as_str()];
        if let Some(accept) = &accept {
            self.compiler.servable(accept, acme.as_ref(), &at);
        }
        Some(EntryPlan {
            name,
            listen: gateway.listen.0.sockets(),
            targets: Vec::new(),
            tls: None,
            proxied: inbound::proxied(&gateway.proxy_protocol),
            accept,
            acme,
            passthrough,
            is_mirror: false,
            eject: None,
            subset: None,
            health: None,
            service,
        })
    }

    /// Hosts that no request comes for are mistakes: of routes, and of rules for clients, where another host is without
    /// those that it was to have.
    fn hosts(&mut self, tls: &InboundTls, passthrough: &[(Host, Arc<str>)]) {
        let elsewhere: ByHost<_> = passthrough.iter().cloned().collect();
        let mut hosts = Vec::new();
        for key in self.gateway.routes.keys() {
            let Ok(host) = host(key) else { continue };
            if elsewhere.covers(&host) {
                let message = format!("TLS for `{}` is passed through", key.host());
                let help = "leave the route out, or the host in `passthrough`";
                self.wrong(&["routes", key.as_str()], message, help);
            }
            hosts.push(host);
        }
        for name in tls.hosts.keys() {
            let Ok(rules) = canonical(name).parse::<Host>() else {
                continue;
            };
            if elsewhere.covers(&rules) || !hosts.iter().any(|host| host.meets(&rules)) {
                let message = format!("no route is for `{name}`");
                let help = "write the host as in `routes`, or leave it out";
                self.wrong(&["tls", "hosts", name], message, help);
            }
        }
    }

    /// A value that a filter takes, or nothing and an error at its place.
    fn checked<T>(&mut self, at: &[&str], value: Result<T, filters::Wrong>) -> Option<T> {
        value
            .map_err(|wrong| {
                let below: Vec<&str> = at.iter().copied().chain(wrong.below()).collect();
                self.wrong(&below, wrong.message.clone(), wrong.help.clone());
            })
            .ok()
    }

    /// The names that are passed through, and the entries of bytes that they lead to.
    fn passthrough(&mut self) -> Vec<(Host, Arc<str>)> {
        let mut all = Vec::new();
        for (host, to) in &self.gateway.passthrough {
            let at = ["passthrough", host.as_str()];
            let named = match host.parse::<Host>() {
                Ok(named) => named,
                Err(error) => {
                    let help = "write a name, or `*.` and a name";
                    self.wrong(&at, error.to_string(), help);
                    continue;
                }
            };
            let entry = Entry::new(ListenAddress::localhost(0), to.clone());
            let name = format!("passthrough/{}", host.to_ascii_lowercase());
            if let Some(name) = self.entry(&at, &name, &entry) {
                all.push((named, name));
            }
        }
        all
    }

    fn routes(&mut self) -> (Option<RouteTable>, Vec<RoutePlan>) {
        let gateway = self.gateway;
        let (mut matches, mut routes) = (Vec::new(), Vec::new());
        for (key, Lead(route)) in &gateway.routes {
            let Some(fits) = self.matches(key, route) else {
                continue;
            };
            let Some(plan) = self.route(key, route) else {
                continue;
            };
            let index = routes.len() as u32;
            matches.extend(fits.into_iter().map(|fit| (key, (fit, index))));
            routes.push(plan);
        }
        // Of matches that ask for the same the first is taken: one of a route that is for fewer methods.
        matches.sort_by_key(|(key, _)| key.methods().len());
        let (keys, matches): (Vec<&RouteKey>, Vec<_>) = matches.into_iter().unzip();
        match RouteTable::build(matches) {
            Ok(table) => {
                self.shadowed(&table, &keys);
                (Some(table), routes)
            }
            Err(errors) => {
                for (index, error) in errors {
                    let key = keys.get(index).map_or("", |key| key.as_str());
                    let help = "see the routes in docs/ingress.md";
                    self.wrong(&["routes", key], error.to_string(), help);
                }
                (None, routes)
            }
        }
    }

    /// A route that no request takes, of none of its methods, is a mistake.
    fn shadowed(&mut self, table: &RouteTable, keys: &[&RouteKey]) {
        let mut shadows: BTreeMap<&RouteKey, Vec<&RouteKey>> = BTreeMap::new();
        for warning in table.table().warnings() {
            if let (Some(key), Some(by)) = (keys.get(warning.route), keys.get(warning.by)) {
                shadows.entry(key).or_default().push(by);
            }
        }
        for (key, mut by) in shadows {
            if by.len() < key.methods().len() {
                continue;
            }
            by.dedup();
            let by = by.iter().map(|by| format!("`{by}`")).collect::<Vec<_>>();
            let go = if by.len() == 1 { "goes" } else { "go" };
            let message = format!(
                "no request takes this route: {} {go} first",
                by.join(" and ")
            );
            self.wrong(&["routes", key.as_str()], message, "leave one of them out");
        }
    }

    /// What a route asks of requests: one match for each method.
    fn matches(&mut self, key: &RouteKey, route: &Route) -> Option<Vec<Match>> {
        let at = ["routes", key.as_str()];
        let host = host(key)
            .map_err(|error: route::Error| {
                let help = "write a name, `*.` and a name, or `*`, and no port";
                self.wrong(&at, error.to_string(), help);
            })
            .ok()?;
        let path = match key.path() {
            RoutePath::Prefix(path) => route::Path::Prefix(path.clone()),
            RoutePath::Exact(path) => route::Path::Exact(path.clone()),
            RoutePath::Regex(regex) => route::Path::Regex(regex.clone()),
        };
        let value = |value: &ValueMatch| match value {
            ValueMatch::Exact(text) => Value::Exact(text.clone()),
            ValueMatch::Regex(regex) => Value::Regex(regex.clone()),
        };
        let headers = route.when.headers.iter().map(|(name, asked)| Field {
            name: name.0.clone(),
            value: value(asked),
        });
        let query = route.when.query.iter().map(|(name, asked)| Parameter {
            name: name.clone(),
            value: value(asked),
        });
        let every = Match {
            host,
            path,
            method: None,
            headers: headers.collect(),
            query: query.collect(),
        };
        if key.methods().is_empty() {
            return Some(vec![every]);
        }
        let of = |method: &String| Match {
            method: Method::from_bytes(method.as_bytes()).ok(),
            ..every.clone()
        };
        Some(key.methods().iter().map(of).collect())
    }

    fn route(&mut self, key: &RouteKey, route: &Route) -> Option<RoutePlan> {
        let at = ["routes", key.as_str()];
        let filters = filters::of_route(key, route);
        let filters = self.checked(&at, filters)?;
        let to = match (route.entry(), &route.redirect, &route.respond) {
            (Some(entry), ..) => LeadsTo::Entry(self.upstream(key, &entry)?),
            (_, Some(redirect), _) => {
                let scheme = match self.gateway.tls {
                    Some(_) => UriScheme::HTTPS,
                    None => UriScheme::HTTP,
                };
                let params = filters::redirect(key, redirect, scheme, self.forward.is_some());
                LeadsTo::Redirect(self.checked(&[&at[..], &["redirect"]].concat(), params)?)
            }
            (_, _, Some(answer)) => {
                let params = filters::answer(answer, self.compiler.world());
                LeadsTo::Fixed(self.checked(&[&at[..], &["respond"]].concat(), params)?)
            }
            _ => return None,
        };
        Some(RoutePlan {
            name: Arc::from(key.name()),
            to,
            rewrite: filters.rewrite,
            headers: filters.headers,
            cors: filters.cors,
        })
    }

    /// The entry that a route leads to: one that another route leads to already, if it is the same.
    fn upstream(&mut self, key: &RouteKey, entry: &Entry) -> Option<Arc<str>> {
        let first = entry.to.targets.first()?;
        let called = first.to.authority();
        let mut known = self.known.get(&called).into_iter().flatten();
        if let Some((_, name)) = known.find(|(known, _)| known == entry) {
            return Some(Arc::clone(name));
        }
        let name = self.entry(&["routes", key.as_str()], &called, entry)?;
        let known = self.known.entry(called).or_default();
        known.push((entry.clone(), Arc::clone(&name)));
        Some(name)
    }

    /// Compiles an entry that listens nowhere, and those of its mirrors; says what it is called.
    fn entry(&mut self, below: &[&str], name: &str, entry: &Entry) -> Option<Arc<str>> {
        let mut whole = format!("{}/{name}", self.name);
        for number in 2.. {
            if self.taken.insert(whole.clone()) {
                break;
            }
            whole = format!("{}/{name}-{number}", self.name);
        }
        let at = [&["ingress", self.name.as_str()], below].concat();
        let mut plan = self.compiler.entry(&whole, &at, entry)?;
        plan.listen.clear();
        if let ServicePlan::Http(http) = &mut plan.service {
            http.forward = self.forward.clone();
            http.client_cert = true;
        }
        let name = Arc::clone(&plan.name);
        self.entries.push(plan);
        for mirror in mirror::all(&whole, entry) {
            let below = mirror.at.iter().map(String::as_str);
            let at: Vec<&str> = at.iter().copied().chain(below).collect();
            let plan = self.compiler.entry(&mirror.name, &at, &mirror.entry);
            self.entries.extend(plan.map(mirror::Written::hidden));
        }
        Some(name)
    }
}
