//! What a request to a gateway would get: its route, and what the route makes of it.

use http::Request;
use http::uri::{Authority, Scheme};
use serde_json::{Map, Value, json};

use super::{Asked, of_http};
use crate::config::{Gateway, Lead, Route};
use crate::fault::Reason;
use crate::plan::{EntryPlan, LeadsTo, Plan, RoutesPlan, ServicePlan};
use crate::route::{ByHost, Head, canonical, normalise};
use crate::tls::{AcceptorParams, ClientPolicy};

/// What the request would get.
///
/// # Errors
/// The entry is no gateway's.
pub(super) fn tell(
    gateway: &Gateway,
    plan: &Plan,
    listener: &EntryPlan,
    asked: &Asked,
) -> Result<Map<String, Value>, String> {
    let ServicePlan::Http(http) = &listener.service else {
        return Err("the entry carries bytes".to_owned());
    };
    let Some(routes) = http.routes.as_deref() else {
        return Err("the entry has no routes".to_owned());
    };
    // The name that the connection is made for decides first.
    let name = asked.uri.authority().map_or("", Authority::as_str);
    let name = canonical(name);
    if let Some(entry) = routes.elsewhere.find(&name)
        && asked.uri.scheme() == Some(&Scheme::HTTPS)
    {
        let told = [("passthrough", json!(true)), ("upstream", json!(&**entry))];
        return Ok(map(told));
    }
    let mut told = Map::new();
    let rules = listener.accept.as_ref();
    if let Some(rules) = rules {
        let asked_for = asked_for(rules_of(rules, &name));
        told.insert("client_certificate".into(), json!(asked_for));
    }
    let mut request = request(asked);
    if let Err(why) = normalise(request.uri_mut()) {
        told.extend(refused(Reason::RequestError));
        told.insert("detail".into(), json!(why.to_string()));
        return Ok(told);
    }
    // A field `Host` that is asked about goes first: the URL says only where the request is sent.
    let mut head = Head::of(&request);
    let host = asked.headers.get(http::header::HOST);
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        head.authority = host;
    }
    let host = canonical(head.authority);
    let is_elsewhere = routes.elsewhere.find(&host).is_some();
    if rules.is_some_and(|all| is_elsewhere || rules_of(all, &host) != rules_of(all, &name)) {
        told.extend(refused(Reason::Misdirected));
        return Ok(told);
    }
    let table = &routes.table;
    let found = table.table().find(&head);
    let found = found.and_then(|index| Some((index, table.route(index)?)));
    let Some((fits, index)) = found else {
        told.extend(refused(Reason::NoRoute));
        return Ok(told);
    };
    let route = routes.routes.get(index).map(|route| &*route.name);
    told.insert("route".into(), json!(route));
    let because = table.table().get(fits).map(ToString::to_string);
    told.insert("because".into(), json!(because));
    told.extend(of_route(gateway, plan, (routes, index), asked));
    Ok(told)
}

fn request(asked: &Asked) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = asked.method.clone();
    *request.uri_mut() = asked.uri.clone();
    *request.headers_mut() = asked.headers.clone();
    request
}

fn map<const COUNT: usize>(told: [(&str, Value); COUNT]) -> Map<String, Value> {
    let told = told.map(|(key, value)| (key.to_owned(), value));
    told.into_iter().collect()
}

/// What is told of a request that no route may have.
fn refused(reason: Reason) -> Map<String, Value> {
    map([
        ("route", Value::Null),
        ("status", json!(reason.status().as_u16())),
        ("reason", json!(reason.token())),
    ])
}

/// The rules for clients that ask for a host.
fn rules_of<'a>(all: &'a AcceptorParams, host: &str) -> &'a ClientPolicy {
    let hosts = all.hosts.iter();
    let hosts = hosts.filter_map(|(host, rules)| Some((host.parse().ok()?, rules)));
    let hosts: ByHost<&ClientPolicy> = hosts.collect();
    hosts.find(host).copied().unwrap_or(&all.clients)
}

/// Whether they must have a certificate.
fn asked_for(rules: &ClientPolicy) -> &'static str {
    match rules {
        ClientPolicy::None => "none",
        ClientPolicy::Optional(_) => "optional",
        ClientPolicy::Required(_) => "required",
    }
}

fn of_route(
    gateway: &Gateway,
    plan: &Plan,
    (routes, index): (&RoutesPlan, usize),
    asked: &Asked,
) -> Map<String, Value> {
    let mut told = Map::new();
    let Some(route) = routes.routes.get(index) else {
        return told;
    };
    let written = written(gateway, &route.name);
    match &route.to {
        LeadsTo::Redirect(params) => {
            told.insert("status".into(), json!(params.status.as_u16()));
            told.insert(
                "redirect".into(),
                json!(written.map(|route| &route.redirect)),
            );
        }
        LeadsTo::Fixed(params) => {
            told.insert("status".into(), json!(params.status.as_u16()));
            told.insert("bytes".into(), json!(params.body.len()));
        }
        LeadsTo::Entry(name) => {
            let planned = plan.entries.iter().find(|entry| entry.name == *name);
            let entry = written.and_then(Route::entry);
            if let (Some(planned), Some(entry)) = (planned, entry)
                && let ServicePlan::Http(http) = &planned.service
            {
                told.insert("upstream".into(), json!(&**name));
                told.extend(of_http(&entry, planned, http, asked));
            }
        }
    }
    if let Some(route) = written {
        if let Some(rewrite) = &route.rewrite {
            told.insert("rewrite".into(), json!(rewrite));
        }
        if !route.headers.is_empty() {
            told.insert("headers".into(), json!(route.headers));
        }
    }
    told
}

/// The route of this name, as the file has it.
fn written<'g>(gateway: &'g Gateway, name: &str) -> Option<&'g Route> {
    let mut routes = gateway.routes.iter();
    routes
        .find(|(key, _)| key.name() == name)
        .map(|(_, Lead(route))| &**route)
}
