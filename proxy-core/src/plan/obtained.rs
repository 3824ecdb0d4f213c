//! What a certificate that is obtained means: for the listener that shows it, and for those that answer for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::{EntryPlan, ServicePlan};
use crate::acme;
use crate::config::{self, AcmeChallenge};
use crate::tls::{ChallengeKind, Obtained};

/// How the certificate of an entry is obtained. What is kept of it is called like the entry.
pub(super) fn params(entry: &Arc<str>, tls: &config::InboundTls) -> Option<acme::Params> {
    let acme = tls.acme.as_ref()?;
    Some(acme::Params {
        entry: Arc::clone(entry),
        names: acme.names.clone(),
        contact: acme.contact.clone(),
        directory: acme.directory.clone(),
        folder: PathBuf::from(&acme.folder),
        challenge: match acme.challenge {
            AcmeChallenge::TlsAlpn01 => ChallengeKind::TlsAlpn01,
            AcmeChallenge::Http01 => ChallengeKind::Http01,
        },
        ca: acme.ca.as_ref().map(PathBuf::from),
    })
}

/// Where what is obtained will be.
pub(super) fn shown(acme: &acme::Params) -> Obtained {
    let by_handshakes = acme.challenge == ChallengeKind::TlsAlpn01;
    Obtained {
        file: acme.file(),
        names: acme.names.clone(),
        challenges: by_handshakes.then(|| acme.folder.clone()),
    }
}

/// Lets every listener of HTTP without TLS answer for the certificates whose authorities send requests: which of
/// them is port 80 to an authority, nobody here knows.
pub(super) fn answered_in_plain(entries: &mut [EntryPlan]) {
    let acme = entries.iter().filter_map(|entry| entry.acme.as_ref());
    let asked = acme.filter(|acme| acme.challenge == ChallengeKind::Http01);
    let folders: BTreeSet<PathBuf> = asked.map(|acme| acme.folder.clone()).collect();
    for entry in entries {
        let listens = !entry.listen.is_empty() && entry.accept.is_none();
        if let ServicePlan::Http(http) = &mut entry.service
            && listens
        {
            http.challenges = folders.iter().cloned().collect();
        }
    }
}
