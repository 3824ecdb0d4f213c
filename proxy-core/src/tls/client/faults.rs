//! What went wrong with TLS, as faults: the certificate, an alert of the other side, or the protocol.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use rustls::{CertificateError, Error};

use crate::fault::{Fault, Reason};

/// The fault of a handshake that failed. Nothing of a request was sent.
pub(super) fn of_handshake(address: SocketAddr, error: io::Error) -> Fault {
    let Some(tls) = of_tls(&error) else {
        let detail = format!("{address} ended the connection in the TLS handshake");
        return Fault::unseen(Reason::TlsProtocolError, detail).because(error);
    };
    let (reason, detail) = match tls {
        Error::InvalidCertificate(why) => (
            Reason::TlsCertificateError,
            format!(
                "the certificate of {address} is not accepted: {}",
                told(why)
            ),
        ),
        Error::NoCertificatesPresented => (
            Reason::TlsCertificateError,
            format!("{address} presents no certificate"),
        ),
        Error::AlertReceived(alert) => (
            Reason::TlsAlertReceived,
            format!("{address} refuses the TLS handshake with the alert {alert:?}"),
        ),
        Error::InvalidMessage(_) => (
            Reason::TlsProtocolError,
            format!("{address} does not speak TLS"),
        ),
        other => (
            Reason::TlsProtocolError,
            format!("no TLS connection to {address}: {other}"),
        ),
    };
    Fault::unseen(reason, detail)
}

/// The alert with which the other side ended a connection, if that is what `error` tells. With TLS
/// 1.3 a client whose certificate is refused hears of it here, after its handshake is over.
pub fn alert(error: &io::Error) -> Option<String> {
    match of_tls(error)? {
        Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// What is wrong with a certificate, for an operator.
fn told(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "no trusted authority has issued it".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            format!("it is not valid for {}", expected.to_str())
        }
        CertificateError::Other(other) => match other.source() {
            Some(cause) => cause.to_string(),
            None => other.to_string(),
        },
        other => other.to_string(),
    }
}
