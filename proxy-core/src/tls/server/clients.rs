//! What makes of client certificates a verifier: authorities, revocation lists, and whether a client may have none.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::invalid::{Invalid, InvalidPart};
use super::params::{Authorities, ClientPolicy};
use super::validity::Learning;
use crate::net::PolicyId;
use crate::tls::pem::{self, Bad};

/// The rules for client certificates, as read from files.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    /// Who is asked; none where clients are not asked for certificates.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// The same for the same rules, whichever revocation lists there are.
    pub(super) id: PolicyId,
    /// Another one with other revocation lists: a ticket never outlives the lists that it was given under.
    pub(super) context: [u8; 32],
}

impl Clients {
    pub(super) fn load(
        policy: &ClientPolicy,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Invalid> {
        let (authorities, mode) = match policy {
            ClientPolicy::None => {
                let id = print(&[b"none"]);
                return Ok(Self {
                    verifier: None,
                    id: PolicyId(id),
                    context: id,
                });
            }
            ClientPolicy::Optional(authorities) => (authorities, &b"optional"[..]),
            ClientPolicy::Required(authorities) => (authorities, &b"required"[..]),
        };
        let ca = &authorities.ca;
        let of_ca = |bad| Invalid::new(InvalidPart::ClientCa, ca, bad);
        let mut issuers = pem::certificates(ca).map_err(of_ca)?;
        issuers.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        let parts = issuers.iter().map(|issuer| &issuer[..]);
        // Not what the lists hold: a new one is no reason to send clients to another connection.
        let files = authorities.crls.iter();
        let files: Vec<&[u8]> = files
            .map(|file| file.as_os_str().as_encoded_bytes())
            .collect();
        let parts = std::iter::once(mode).chain(parts).chain(files);
        let id = print(&parts.collect::<Vec<_>>());
        let mut lists = revocation_lists(authorities)?;
        lists.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        let parts = lists.iter().map(|list| list.as_ref());
        let context = print(&std::iter::once(&id[..]).chain(parts).collect::<Vec<_>>());
        let roots = Arc::new(pem::roots(ca).map_err(of_ca)?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
            .with_crls(lists.iter().cloned())
            .enforce_revocation_expiration();
        if matches!(policy, ClientPolicy::Optional(_)) {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| {
            let help = "name a file with certificates of authorities";
            of_ca(Bad::new(ca, error, help))
        })?;
        Ok(Self {
            verifier: Some(Arc::new(Learning::new(verifier, &lists))),
            id: PolicyId(id),
            context,
        })
    }
}

fn revocation_lists(
    authorities: &Authorities,
) -> Result<Vec<CertificateRevocationListDer<'static>>, Invalid> {
    let mut all = Vec::new();
    for file in &authorities.crls {
        let of_file = |bad| Invalid::new(InvalidPart::Crl, file, bad);
        for list in pem::revocation_lists(file).map_err(of_file)? {
            check(&list, file).map_err(of_file)?;
            all.push(list);
        }
    }
    Ok(all)
}

/// So that it can be said in which file a list is that cannot be used.
fn check(list: &CertificateRevocationListDer<'_>, file: &Path) -> Result<(), Bad> {
    let parsed = webpki::BorrowedCertRevocationList::from_der(list);
    let parsed = parsed.map_err(|error| {
        let help = "have the authority issue its list anew, complete and with a number";
        Bad::new(
            file,
            format_args!("the revocation list cannot be used: {error}"),
            help,
        )
    });
    parsed.map(drop)
}

/// Tells lists of parts from each other, wherever one part ends and the next begins.
fn print(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    print
}
