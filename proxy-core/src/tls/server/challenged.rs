//! Answers a TLS-ALPN-01 challenge (RFC 8737): a handshake that shows a certificate made for this one question, and nothing after it.
//!
//! It comes before every rule for clients: an authority has no certificate to show.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio_rustls::StartHandshake;

use super::challenges::Challenges;
use super::hello::Hello;
use super::params::ChallengeKind;
use super::refused::Refused;
use super::turned::Turned;
use crate::telemetry::HandshakeResult;

/// The protocol that only authorities ask for (RFC 8737, 6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Whether this is an authority's question: it offers this protocol alone (RFC 8737, 3).
pub(super) fn is_challenge(hello: &Hello) -> bool {
    let hello = hello.accepted.client_hello();
    let mut offered = hello.alpn().into_iter().flatten();
    offered.next() == Some(ACME_TLS) && offered.next().is_none()
}

/// Shakes hands. The connection is over in any case; the result says how it is counted.
pub(super) async fn answer(hello: Hello, challenges: &Challenges) -> Turned {
    let name = hello.server_name().unwrap_or_default().to_owned();
    let Some(told) = challenges.find(ChallengeKind::TlsAlpn01, &name).await else {
        return hello.refuse_challenge();
    };
    let config = match config(&name, &told) {
        Ok(config) => Arc::new(config),
        Err(detail) => return Refused::new(HandshakeResult::Internal, detail).into(),
    };
    let start = StartHandshake::from_parts(hello.accepted, hello.tcp);
    match start.into_stream(config).into_fallible().await {
        Ok(mut stream) => {
            let _ = stream.shutdown().await;
            let detail = format!("answered a challenge for {name:.253}");
            Refused::new(HandshakeResult::Challenge, detail).into()
        }
        Err((error, tcp)) => Turned::told(Refused::of_io(&error), tcp),
    }
}

/// What shows the one certificate that the authority expects of whoever holds `name`.
fn config(name: &str, told: &str) -> Result<ServerConfig, String> {
    let pair = certificate(name, told).map_err(|error| error.to_string())?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.1.serialize_der()));
    let of_tls = |error: Error| error.to_string();
    let key = provider.key_provider.load_private_key(secret);
    let key = CertifiedKey::new(vec![pair.0.der().clone()], key.map_err(of_tls)?);
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .map_err(of_tls)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn certificate(name: &str, told: &str) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    let told = digest(&SHA256, told.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(told.as_ref())];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate, key))
}
