//! When the authority wants a certificate renewed (ARI, RFC 9773), where it says so: that goes before our own idea of it.

use instant_acme::{CertificateIdentifier, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::account::known;
use super::client::Client;
use super::failure::Failure;
use super::kept::Kept;
use super::params::Params;
use super::renewal;
use super::status::Outcome;

/// Whoever advises nothing is asked again after this, in seconds.
const AGAIN: i64 = 6 * 60 * 60;

/// After an answer that did not come it is asked again so soon, in seconds.
const SOON: i64 = 60 * 60;

/// The least and the most seconds after which the authority may have us ask again (RFC 9773, 4.3.2).
const BOUNDS: (u64, u64) = (60, 24 * 60 * 60);

/// What the authority says of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// The certificate's fingerprint.
    of: [u8; 32],
    /// When it is to be renewed, in seconds since 1970; none where the authority says nothing of it.
    due: Option<i64>,
    /// When it is asked again.
    again: i64,
}

impl Advice {
    /// When `kept` is due by it; none where it says nothing of this certificate.
    pub(super) fn due(&self, kept: &Kept) -> Option<i64> {
        self.due.filter(|_| self.of == kept.certificate.fingerprint)
    }

    /// Whether the authority need not be asked at `now`.
    pub(super) fn holds(&self, kept: &Kept, now: i64) -> bool {
        self.of == kept.certificate.fingerprint && now < self.again
    }

    /// Asks. Without an answer what was said `before` holds for a while yet.
    pub(super) async fn ask(
        params: &Params,
        client: &Client,
        kept: &Kept,
        before: Option<&Self>,
        now: i64,
    ) -> Self {
        let (due, pause) = match window(params, client).await {
            Ok(None) => (None, AGAIN),
            Ok(Some((window, pause))) => (Some(renewal::within(kept, &window)), pause),
            Err(failure) => {
                let entry = &*params.entry;
                tracing::debug!(entry, detail = %failure, "the authority gave no advice on when to renew");
                (before.and_then(|before| before.due(kept)), SOON)
            }
        };
        Self {
            of: kept.certificate.fingerprint,
            due,
            again: now.saturating_add(pause),
        }
    }
}

/// From when to when the authority wants it renewed, in seconds since 1970, and after how many it is to be asked
/// again; none where it gives no such advice.
async fn window(params: &Params, client: &Client) -> Result<Option<((i64, i64), i64)>, Failure> {
    let Some(account) = known(params, client).await? else {
        return Ok(None);
    };
    let (info, pause) = match account.renewal_info(&identifier(params)?).await {
        Err(Error::Unsupported(_)) => return Ok(None),
        told => told?,
    };
    let window = info.suggested_window;
    let (start, end) = (window.start.unix_timestamp(), window.end.unix_timestamp());
    if start >= end {
        // To be taken as no answer at all (RFC 9773, 4.2).
        let detail = "the authority advises a time that ends before it begins";
        return Err(Failure::new(Outcome::Refused, detail));
    }
    let pause = pause.as_secs().clamp(BOUNDS.0, BOUNDS.1);
    Ok(Some(((start, end), i64::try_from(pause).unwrap_or(AGAIN))))
}

/// What the authority calls the certificate that is kept.
pub(super) fn identifier(params: &Params) -> Result<CertificateIdentifier<'static>, Failure> {
    let unusable = |detail: String| Failure::new(Outcome::Unusable, detail);
    let leaf = CertificateDer::from_pem_file(params.file());
    let leaf = leaf.map_err(|error| unusable(error.to_string()))?;
    let named = CertificateIdentifier::try_from(&leaf).map_err(unusable)?;
    Ok(named.into_owned())
}
