//! What an inbound entry means beyond what an outbound one would.

use std::sync::Arc;

use super::compile::HEAD;
use super::{EntryPlan, ServicePlan};
use crate::config::{self, ClientCertificate, Document, ForwardedField, Inbound};
use crate::http::{ForwardParams, Network};
use crate::net::proxy_protocol;
use crate::tls::{AcceptorParams, Authorities, ClientPolicy, Invalid, InvalidPart};

/// Adds to the plan of an entry what only the inbound role has.
pub(super) fn complete(plan: &mut EntryPlan, inbound: &Inbound) {
    plan.proxied = inbound.proxy_protocol.on().map(|accepted| {
        Arc::new(proxy_protocol::Params {
            from: networks(&accepted.from),
            limit: HEAD,
        })
    });
    plan.accept = inbound.tls.as_ref().map(|tls| accept(tls, plan));
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

fn accept(tls: &config::InboundTls, plan: &EntryPlan) -> AcceptorParams {
    let path = |text: &String| text.into();
    let clients = tls.client_ca.as_ref().map(|ca| {
        let authorities = Authorities {
            ca: ca.into(),
            crls: tls.crl.iter().map(path).collect(),
        };
        match tls.client {
            ClientCertificate::Required => ClientPolicy::Required(authorities),
            ClientCertificate::Optional => ClientPolicy::Optional(authorities),
        }
    });
    let pair = tls.cert.as_ref().zip(tls.key.as_ref());
    let mut params = AcceptorParams {
        pairs: pair
            .map(|(cert, key)| (path(cert), path(key)))
            .into_iter()
            .collect(),
        folders: tls.folder.iter().map(path).collect(),
        clients: clients.unwrap_or_default(),
        ..AcceptorParams::default()
    };
    if matches!(plan.service, ServicePlan::Tcp(_)) {
        // What is inside is the workload's own.
        params.alpn = Vec::new();
    }
    params
}

/// What callers cannot be shown, at the place of its file.
pub(super) fn located(invalid: Invalid, document: &Document, at: &[&str]) -> config::Error {
    let key = match invalid.part {
        InvalidPart::Certificate => "cert",
        InvalidPart::Key => "key",
        InvalidPart::ClientCa => "client-ca",
        InvalidPart::Crl => "crl",
        InvalidPart::Folder | InvalidPart::Host | InvalidPart::Tickets => "folder",
    };
    let path = [at, &["tls", key]].concat();
    document.error_at(&path, invalid.message, invalid.help)
}

fn forward(forwarded: &config::Forwarded, secure: bool) -> ForwardParams {
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
