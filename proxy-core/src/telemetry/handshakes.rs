//! How TLS handshakes with clients ended, and how often each way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HandshakeResult {
    /// Well, with a session of its own.
    Full,
    /// Well, going on with the session of an earlier connection.
    Resumed,
    /// The client's certificate has expired.
    Expired,
    /// The client's certificate is not valid yet.
    NotYetValid,
    /// No trusted authority has issued the client's certificate.
    UnknownCa,
    /// The client's certificate is not one for clients.
    WrongUsage,
    /// The name in the client's certificate is none that its authority may issue for.
    NameConstraint,
    /// The client's certificate was revoked.
    Revoked,
    /// No valid revocation list tells of the client's certificate.
    RevocationUnknown,
    /// The client presented no certificate.
    NoCertificate,
    /// Anything else is wrong with the client's certificate.
    BadCertificate,
    /// The client asked for a name that is not served.
    UnknownName,
    /// The certificate for the name that the client asked for is yet to be obtained.
    Awaited,
    /// An authority has had its challenge for a name answered (RFC 8737), and the connection ended.
    Challenge,
    /// The client does not speak TLS, or breaks its rules.
    Protocol,
    /// The client speaks no version of TLS that is accepted.
    Version,
    /// No cipher suite, group or signature scheme in common.
    NoSharedCipher,
    /// No application protocol (ALPN) in common.
    NoSharedProtocol,
    /// The client ended the handshake with an alert.
    Alert,
    /// The client closed the connection.
    Closed,
    /// The client took too long.
    Timeout,
    /// We failed.
    Internal,
}

impl HandshakeResult {
    /// Every value, in the order of its discriminant.
    pub const ALL: [Self; 22] = [
        Self::Full,
        Self::Resumed,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownCa,
        Self::WrongUsage,
        Self::NameConstraint,
        Self::Revoked,
        Self::RevocationUnknown,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::UnknownName,
        Self::Awaited,
        Self::Challenge,
        Self::Protocol,
        Self::Version,
        Self::NoSharedCipher,
        Self::NoSharedProtocol,
        Self::Alert,
        Self::Closed,
        Self::Timeout,
        Self::Internal,
    ];

    /// The metric label.
    pub fn token(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::UnknownCa => "unknown-ca",
            Self::WrongUsage => "wrong-usage",
            Self::NameConstraint => "name-constraint",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate => "bad-certificate",
            Self::UnknownName => "unknown-name",
            Self::Awaited => "awaited",
            Self::Challenge => "challenge",
            Self::Protocol => "protocol",
            Self::Version => "version",
            Self::NoSharedCipher => "no-shared-cipher",
            Self::NoSharedProtocol => "no-shared-protocol",
            Self::Alert => "alert",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

/// Handshakes by how they ended.
#[derive(Debug, Default)]
pub struct Handshakes([AtomicU64; HandshakeResult::ALL.len()]);

impl Handshakes {
    /// Counts one.
    pub fn count(&self, result: HandshakeResult) {
        self.0[result as usize].fetch_add(1, Relaxed);
    }

    /// How many ended each way.
    pub fn all(&self) -> impl Iterator<Item = (HandshakeResult, u64)> {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        HandshakeResult::ALL.into_iter().zip(counts)
    }

    /// How many ended this way.
    pub fn of(&self, result: HandshakeResult) -> u64 {
        self.0[result as usize].load(Relaxed)
    }

    pub(super) fn add_to(&self, totals: &Self) {
        for (mine, total) in self.0.iter().zip(&totals.0) {
            total.fetch_add(mine.load(Relaxed), Relaxed);
        }
    }
}
