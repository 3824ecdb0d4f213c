//! Checks that a certificate is of a trusted authority and bears one SPIFFE ID, the expected one.
//!
//! As the X.509-SVID specification says (SPIFFE, section 2): exactly one URI among the subject
//! alternative names. Names and addresses count for nothing.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// Accepts certificates of one identity.
#[derive(Debug)]
pub(super) struct SpiffeVerifier {
    id: String,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Another identity than the expected one.
#[derive(Debug)]
struct Mismatch {
    expected: String,
    presented: Vec<String>,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            expected,
            presented,
        } = self;
        match presented.as_slice() {
            [] => write!(f, "it bears no SPIFFE ID; {expected} is expected"),
            [id] => write!(f, "it is that of {id:.200}; {expected} is expected"),
            ids => {
                let count = ids.len();
                write!(
                    f,
                    "it bears {count} SPIFFE IDs; {expected} alone is expected"
                )
            }
        }
    }
}

impl std::error::Error for Mismatch {}

impl SpiffeVerifier {
    pub(super) fn new(id: String, roots: Arc<RootCertStore>, provider: &CryptoProvider) -> Self {
        Self {
            id,
            roots,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn check_identity(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let parsed = webpki::EndEntityCert::try_from(certificate)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let presented: Vec<String> = parsed.valid_uri_names().map(str::to_owned).collect();
        if presented == [self.id.as_str()] {
            return Ok(());
        }
        let expected = self.id.clone();
        let mismatch = Mismatch {
            expected,
            presented,
        };
        let other = CertificateError::Other(OtherError(Arc::new(mismatch)));
        Err(Error::InvalidCertificate(other))
    }
}

impl ServerCertVerifier for SpiffeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        self.check_identity(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
