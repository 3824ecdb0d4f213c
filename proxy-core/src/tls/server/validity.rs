//! Until when what a client has shown is valid: known where its certificate is verified, and written into the tickets that follow.
//!
//! A ticket brings a session along whose certificate nobody verifies again before the handshake is over, and after
//! it there is no alert that could still be sent. So a ticket knows by itself how long it is good for. Verifier and
//! tickets are those of many handshakes, so what one of them has learned is kept with its task.

use std::cell::Cell;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

tokio::task_local! {
    /// In seconds since 1970.
    static UNTIL: Cell<u64>;
}

/// Runs one handshake.
pub(super) async fn learned_in<F: Future>(handshake: F) -> F::Output {
    UNTIL.scope(Cell::new(u64::MAX), handshake).await
}

/// What the handshake goes by is valid no longer than until then, in seconds since 1970.
pub(super) fn learn(until: u64) {
    // Outside of a handshake there is nobody to know it.
    let _ = UNTIL.try_with(|known| known.set(known.get().min(until)));
}

/// Until when all is valid that the handshake has gone by so far, in seconds since 1970.
pub(super) fn learned() -> u64 {
    UNTIL.try_with(Cell::get).unwrap_or(u64::MAX)
}

/// Verifies as another verifier does, and learns until when that holds.
#[derive(Debug)]
pub(super) struct Learning {
    inner: Arc<dyn ClientCertVerifier>,
    /// When the first of the revocation lists is outdated.
    lists: u64,
}

impl Learning {
    pub(super) fn new(
        inner: Arc<dyn ClientCertVerifier>,
        lists: &[CertificateRevocationListDer<'_>],
    ) -> Self {
        let lists = lists.iter().map(|list| list_until(list)).min();
        Self {
            inner,
            lists: lists.unwrap_or(u64::MAX),
        }
    }
}

/// What does not parse is valid at no time; a list that names no end is for ever.
fn list_until(list: &[u8]) -> u64 {
    let Ok((_, parsed)) = CertificateRevocationList::from_der(list) else {
        return 0;
    };
    let next = parsed.next_update().map(|next| next.timestamp());
    next.map_or(u64::MAX, |next| next.try_into().unwrap_or(0))
}

fn certificate_until(certificate: &CertificateDer<'_>) -> u64 {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return 0;
    };
    let end = parsed.validity().not_after.timestamp();
    end.try_into().unwrap_or(0)
}

impl ClientCertVerifier for Learning {
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(leaf, chain, now)?;
        let shown = std::iter::once(leaf).chain(chain);
        learn(shown.map(certificate_until).fold(self.lists, u64::min));
        Ok(verified)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
