//! What an inbound entry means beyond what an outbound one would.

use std::sync::Arc;

use super::compile::HEAD;
use super::{EntryPlan, ServicePlan, obtained};
use crate::acme;
use crate::config::{self, ClientCertificate, Document, ForwardedField, Inbound, OrOff};
use crate::http::{ForwardParams, Network};
use crate::net::proxy_protocol;
use crate::route::canonical;
use crate::tls::{AcceptorParams, Authorities, ClientPolicy, Invalid, InvalidPart, Tickets};

/// Adds to the plan of an entry what only the inbound role has.
pub(super) fn complete(plan: &mut EntryPlan, inbound: &Inbound) {
    plan.proxied = proxied(&inbound.proxy_protocol);
    let tls = inbound.tls.as_ref();
    plan.acme = tls.and_then(|tls| obtained::params(&plan.name, tls));
    plan.accept = tls.map(|tls| accept(tls, &plan.service, plan.acme.as_ref()));
    if let ServicePlan::Http(http) = &mut plan.service {
        let secure = inbound.tls.is_some();
        http.forward = inbound.forwarded.on().map(|told| forward(told, secure));
        http.client_cert = true;
    }
    if let Some(health) = &mut plan.health {
        // Its endpoint is the workload of this pod: where that is not well, nobody else is.
        health.gates = true;
    }
}

/// What callers are shown and asked for.
pub(super) fn accept(
    tls: &config::InboundTls,
    service: &ServicePlan,
    acme: Option<&acme::Params>,
) -> AcceptorParams {
    let path = |text: &String| text.into();
    let clients = clients(tls.client_ca.as_ref(), tls.client, &tls.crl);
    let hosts = tls.hosts.iter().map(|(host, rules)| {
        let rules = self::clients(rules.client_ca.as_ref(), rules.client, &rules.crl);
        (canonical(host).into_owned(), rules)
    });
    let shared = tls.tickets.as_ref();
    let shared = shared.map(|file| Tickets::Shared(file.into()));
    let pair = tls.cert.as_ref().zip(tls.key.as_ref());
    let mut params = AcceptorParams {
        pairs: pair
            .map(|(cert, key)| (path(cert), path(key)))
            .into_iter()
            .collect(),
        folders: tls.folder.iter().map(path).collect(),
        obtained: acme.map(obtained::shown),
        clients,
        hosts: hosts.collect(),
        tickets: shared.unwrap_or_default(),
        ..AcceptorParams::default()
    };
    if matches!(service, ServicePlan::Tcp(_)) {
        // What is inside is the workload's own.
        params.alpn = Vec::new();
    }
    params
}

/// Which callers are let in.
fn clients(
    ca: Option<&String>,
    client: Option<ClientCertificate>,
    crls: &[String],
) -> ClientPolicy {
    let Some(ca) = ca else {
        return ClientPolicy::default();
    };
    let authorities = Authorities {
        ca: ca.into(),
        crls: crls.iter().map(Into::into).collect(),
    };
    match client.unwrap_or_default() {
        ClientCertificate::Required => ClientPolicy::Required(authorities),
        ClientCertificate::Optional => ClientPolicy::Optional(authorities),
    }
}

/// What callers cannot be shown, at the place of its file.
pub(super) fn located(
    invalid: Invalid,
    accept: &AcceptorParams,
    document: &Document,
    at: &[&str],
) -> config::Error {
    let host = of_host(&invalid, accept);
    let key: &[&str] = match invalid.part {
        InvalidPart::Certificate => &["cert"],
        InvalidPart::Key => &["key"],
        InvalidPart::ClientCa => &["client-ca"],
        InvalidPart::Crl => &["crl"],
        InvalidPart::Host => &["hosts"],
        InvalidPart::Tickets => &["tickets"],
        InvalidPart::Folder => &["folder"],
        InvalidPart::Acme => &["acme", "folder"],
    };
    let host = host.map(|host| ["hosts", host]);
    let host = host.iter().flatten().copied().collect::<Vec<_>>();
    let path = [at, &["tls"], &host, key].concat();
    document.error_at(&path, invalid.message, invalid.help)
}

/// The host of whose rules a file is, where it is not of those beside `hosts`.
fn of_host<'a>(invalid: &Invalid, accept: &'a AcceptorParams) -> Option<&'a str> {
    let holds = |rules: &ClientPolicy| match rules {
        ClientPolicy::None => false,
        ClientPolicy::Optional(of) | ClientPolicy::Required(of) => match invalid.part {
            InvalidPart::ClientCa => of.ca == invalid.file,
            InvalidPart::Crl => of.crls.contains(&invalid.file),
            _ => false,
        },
    };
    let mut hosts = accept.hosts.iter();
    let host = hosts.find(|(_, rules)| holds(rules));
    host.filter(|_| !holds(&accept.clients))
        .map(|(host, _)| host.as_str())
}

/// Who connects with a header of the PROXY protocol.
pub(super) fn proxied(
    accepted: &OrOff<config::ProxyProtocol>,
) -> Option<Arc<proxy_protocol::Params>> {
    let accepted = accepted.on()?;
    Some(Arc::new(proxy_protocol::Params {
        from: networks(&accepted.from),
        limit: HEAD,
    }))
}

/// What workloads are told of who called.
pub(super) fn forward(forwarded: &config::Forwarded, secure: bool) -> ForwardParams {
    ForwardParams {
        trust: networks(&forwarded.trust),
        x_forwarded: forwarded.fields.contains(&ForwardedField::XForwarded),
        forwarded: forwarded.fields.contains(&ForwardedField::Forwarded),
        secure,
    }
}

fn networks(ranges: &[config::Network]) -> Vec<Network> {
    let ranges = ranges.iter();
    ranges
        .map(|range| Network::new(range.address, range.prefix))
        .collect()
}
