//! The rules of the edge role's entries and of their routes.

use std::collections::HashSet;

use super::Check;
use crate::config::{
    Gateway, HostPolicy, Lead, OrOff, Redirect, Route, RouteKey, RoutePath, Scheme, To, WebScheme,
};

impl Check<'_> {
    /// The rules of a gateway, its routes included.
    pub(super) fn gateway(&mut self, name: &str, gateway: &Gateway) {
        let at = [self.section, name];
        if gateway.routes.is_empty() && gateway.passthrough.is_empty() {
            let help = "write `routes: {shop.example.com: http://shop:8080}`";
            self.wrong(&at, "there is no route", help);
        }
        match &gateway.tls {
            Some(tls) => self.inbound_tls(name, tls),
            None => self.without_tls(&at, gateway),
        }
        let off = ", or `off` for no limit";
        self.limit(&at, &["timeout", "idle"], &gateway.timeout.idle, off);
        self.proxy_protocol(&at, &gateway.proxy_protocol);
        self.max_headers(&at, gateway.max_headers);
        for (host, to) in &gateway.passthrough {
            self.passthrough(&[&at[..], &["passthrough", host]].concat(), to);
        }
        let mut names = HashSet::new();
        for (key, Lead(route)) in &gateway.routes {
            if !names.insert(key.name()) {
                let message = format!("another route is called `{}` already", key.name());
                let at = [&at[..], &["routes", key.as_str()]].concat();
                self.wrong(&at, message, "give each route a label of its own");
            }
            let at = [&at[..], &["routes", key.as_str()]].concat();
            self.route(&at, key, route);
            // One that asks for a field, such as `x-forwarded-proto`, may be another one the next time.
            if let Some(redirect) = route.redirect.as_ref().filter(|_| route.when.is_empty()) {
                self.redirects_on(&at, redirect, gateway.tls.is_some());
            }
            if let Some(to) = &route.to {
                self.leads_on(&at, gateway.listen.0, (to, route.discover.as_ref()));
            }
            self.one_host(&at, route);
        }
    }

    /// What makes no sense on a listener that does not decrypt.
    fn without_tls(&mut self, at: &[&str], gateway: &Gateway) {
        let wrong = |key| [at, &[key]].concat();
        if gateway.hsts != OrOff::Off {
            let message = "browsers heed `hsts` only inside TLS (RFC 6797, 8.1)";
            self.wrong(&wrong("hsts"), message, "add `tls`, or leave it out");
        }
        if !gateway.passthrough.is_empty() && !gateway.routes.is_empty() {
            let message = "a listener with `passthrough` takes TLS, and its routes need `tls` to see a request";
            let help =
                "add `tls: {cert: FILE, key: FILE}`, or give the routes a listener of their own";
            self.wrong(&wrong("routes"), message, help);
        }
    }

    fn passthrough(&mut self, at: &[&str], to: &To) {
        let odd = to.targets.iter().find(|t| t.to.scheme != Scheme::Tcp);
        match odd {
            Some(odd) => {
                let message = format!("`{}` is not passed through as it comes", odd.to.scheme);
                let help = format!("write `tcp://{}`", odd.to.authority());
                self.wrong(at, message, help);
            }
            None if to.targets.is_empty() => {
                self.wrong(at, "the list is empty", "write at least one URL");
            }
            None => {}
        }
    }

    fn route(&mut self, at: &[&str], key: &RouteKey, route: &Route) {
        let what = [
            route.to.is_some(),
            route.redirect.is_some(),
            route.respond.is_some(),
        ];
        match what.into_iter().filter(|is_there| *is_there).count() {
            1 => {}
            0 => {
                let help =
                    "write `to: URL`, `redirect: {scheme: https}` or `respond: {status: 404}`";
                self.wrong(at, "nothing becomes of the requests", help);
            }
            _ => {
                let message = "more than one thing becomes of the requests";
                self.wrong(at, message, "leave one of `to`, `redirect` and `respond`");
            }
        }
        match route.entry() {
            Some(entry) => {
                self.entry(at, &entry);
                if let Some(scheme) = entry.to.scheme().filter(|scheme| !scheme.is_http()) {
                    let message = format!("a route sends requests, and `{scheme}` carries bytes");
                    let help = "write `http://`, `h2c://` or `https://`";
                    self.wrong(&[at, &["to"]].concat(), message, help);
                }
            }
            None => self.without_upstream(at, route),
        }
        if let Some(rewrite) = &route.rewrite {
            let at = [at, &["rewrite"]].concat();
            self.changed_path(&at, key, rewrite.path.as_deref(), rewrite.prefix.as_deref());
        }
        if let Some(redirect) = &route.redirect {
            let at = [at, &["redirect"]].concat();
            self.changed_path(
                &at,
                key,
                redirect.path.as_deref(),
                redirect.prefix.as_deref(),
            );
        }
        if let Some(answer) = &route.respond
            && answer.body.is_some()
            && answer.file.is_some()
        {
            let at = [at, &["respond", "file"]].concat();
            self.wrong(&at, "`file` beside `body`", "leave one of them out");
        }
    }

    /// A client must not be sent to where it is.
    fn redirects_on(&mut self, at: &[&str], redirect: &Redirect, secure: bool) {
        let scheme = match secure {
            true => WebScheme::Https,
            false => WebScheme::Http,
        };
        let here = Redirect {
            scheme: redirect.scheme.filter(|wanted| *wanted == scheme),
            status: redirect.status,
            ..Redirect::default()
        };
        if *redirect == here {
            let message = "the redirect leads to where the request came to, for ever";
            let help = match secure {
                true => "write `host`, `port`, `path` or `prefix`",
                false => "write `scheme: https`, `host`, `port`, `path` or `prefix`",
            };
            self.wrong(&[at, &["redirect"]].concat(), message, help);
        }
    }

    /// The authority is one or the other.
    fn one_host(&mut self, at: &[&str], route: &Route) {
        let rewritten = route.rewrite.as_ref().is_some_and(|to| to.host.is_some());
        if rewritten && route.host == HostPolicy::Upstream {
            let message = "`rewrite.host` beside `host: upstream`";
            self.wrong(&[at, &["host"]].concat(), message, "leave one of them out");
        }
    }

    /// A route that sends nothing on has nothing to say of how that is done.
    fn without_upstream(&mut self, at: &[&str], route: &Route) {
        let none = Route::nowhere();
        for (key, is_set) in [
            ("rewrite", route.rewrite.is_some()),
            ("discover", route.discover != none.discover),
            ("host", route.host != none.host),
            ("tls", route.tls != none.tls),
            ("timeout", route.timeout != none.timeout),
            ("retry", route.retry != none.retry),
            ("hedge", route.hedge != none.hedge),
            ("limit", route.limit != none.limit),
            ("inject", route.inject != none.inject),
            ("mirror", route.mirror != none.mirror),
            ("eject", route.eject != none.eject),
            ("health", route.health != none.health),
            ("balance", route.balance != none.balance),
            ("subset", route.subset != none.subset),
            ("pool", route.pool != none.pool),
            ("send-proxy", route.send_proxy != none.send_proxy),
        ] {
            if is_set {
                let message = format!("`{key}` is about an upstream, and this route has none");
                self.wrong(&[at, &[key]].concat(), message, "leave it out");
            }
        }
    }

    fn changed_path(
        &mut self,
        at: &[&str],
        key: &RouteKey,
        path: Option<&str>,
        prefix: Option<&str>,
    ) {
        let at = |key| [at, &[key]].concat();
        if path.is_some() && prefix.is_some() {
            self.wrong(
                &at("prefix"),
                "`prefix` beside `path`",
                "leave one of them out",
            );
        } else if prefix.is_some() && !matches!(key.path(), RoutePath::Prefix(_)) {
            let message = format!("`{key}` has no prefix that could be replaced");
            self.wrong(&at("prefix"), message, "write `path` with the whole path");
        }
    }
}
