//! How generators speak TLS: what they offer, which server they know, and whether they resume.
//!
//! One suite and one key exchange are offered, so that every proxy does the same work. The certificate is
//! compared with the one that is known, and no signature is checked: what the generator does is not what is
//! measured, and it must not be what is waited for.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::tickets::Tickets;

/// The name that is asked for.
pub(crate) const NAME: &str = "bench.test";

/// What is told of TLS on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Secure {
    /// Speak TLS 1.3 to a server that shows the certificate in this PEM file.
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// Offer the key exchanges that rustls offers by default, and not X25519 alone.
    #[arg(long, requires = "tls")]
    any_group: bool,
}

impl Secure {
    /// The client's side for a protocol (ALPN); none where TLS is not spoken.
    pub(super) fn client(&self, protocol: &str, resume: bool) -> Result<Option<Arc<ClientConfig>>> {
        let Some(file) = &self.tls else {
            return Ok(None);
        };
        let known = CertificateDer::from_pem_file(file)
            .with_context(|| format!("no certificate in {}", file.display()))?;
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        if !self.any_group {
            provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        }
        let mut config = builder(provider, known)?;
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config.resumption = match resume {
            true => Resumption::store(Arc::new(Tickets::default())),
            false => Resumption::disabled(),
        };
        Ok(Some(Arc::new(config)))
    }
}

fn builder(provider: CryptoProvider, known: CertificateDer<'static>) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Known(known)))
        .with_no_client_auth())
}

/// The name of the server, as rustls takes it.
pub(super) fn name() -> Result<ServerName<'static>> {
    Ok(ServerName::try_from(NAME)?)
}

/// Trusts one certificate, and whoever shows it.
#[derive(Debug)]
struct Known(CertificateDer<'static>);

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
