//! Why a handshake with a client failed: a token for counting, and a text for the log.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{CertificateError, Error, PeerIncompatible};

use crate::telemetry::HandshakeResult;

/// A handshake that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it is counted as.
    pub result: HandshakeResult,
    /// What happened.
    pub detail: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    pub(super) fn new(result: HandshakeResult, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { result, detail }
    }

    pub(super) fn late(limit: Duration) -> Self {
        let detail = format!("the handshake was not over within {limit:?}");
        Self::new(HandshakeResult::Timeout, detail)
    }

    /// What the connection ended with.
    pub(super) fn of_io(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            Some(tls) => Self::of_tls(tls),
            None => Self::new(HandshakeResult::Closed, error.to_string()),
        }
    }

    /// What rustls says.
    pub(super) fn of_tls(error: &Error) -> Self {
        use HandshakeResult as Result;
        let result = match error {
            Error::InvalidCertificate(why) => of_certificate(why),
            Error::InvalidCertRevocationList(_) => Result::RevocationUnknown,
            Error::NoCertificatesPresented => Result::NoCertificate,
            Error::AlertReceived(_) => Result::Alert,
            Error::NoApplicationProtocol => Result::NoSharedProtocol,
            Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13,
            ) => Result::Version,
            // rustls says no more where there is no certificate for the cipher suites of a client.
            Error::PeerIncompatible(_) | Error::General(_) => Result::NoSharedCipher,
            Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::EncryptError => {
                Result::Internal
            }
            _ => Result::Protocol,
        };
        Self::new(result, error.to_string())
    }
}

fn of_certificate(why: &CertificateError) -> HandshakeResult {
    use HandshakeResult as Result;
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Result::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Result::NotYetValid
        }
        CertificateError::UnknownIssuer => Result::UnknownCa,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Result::WrongUsage
        }
        CertificateError::Revoked => Result::Revoked,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Result::RevocationUnknown,
        CertificateError::Other(other) => match other.0.downcast_ref() {
            Some(webpki::Error::NameConstraintViolation) => Result::NameConstraint,
            _ => Result::BadCertificate,
        },
        _ => Result::BadCertificate,
    }
}
