//! When a certificate is to be renewed: at two thirds of its life or somewhat earlier, or when the authority wants it.

use super::kept::Kept;
use crate::tls::ServedCertificate;

/// The part of a life by which certificates are renewed earlier at the most, so that those that were obtained
/// together are not renewed together.
const SPREAD: i64 = 20;

/// When `certificate` is due, in seconds since 1970. It follows from the certificate alone: all who share it agree.
pub(super) fn due(certificate: &ServedCertificate) -> i64 {
    let life = certificate
        .not_after
        .saturating_sub(certificate.not_before)
        .max(0);
    let earlier = share(certificate, life / SPREAD);
    certificate
        .not_before
        .saturating_add(life / 3 * 2)
        .saturating_sub(earlier)
}

/// When it is due where the authority wants it renewed within `window`, but no later than there is time left for
/// orders that fail.
pub(super) fn within(kept: &Kept, window: &(i64, i64)) -> i64 {
    let certificate = &kept.certificate;
    let (start, end) = *window;
    let chosen = start.saturating_add(share(certificate, end.saturating_sub(start)));
    let life = certificate.not_after.saturating_sub(certificate.not_before);
    chosen.min(certificate.not_after.saturating_sub(life.max(0) / SPREAD))
}

/// A number from 0 to `most`, another one for each certificate.
fn share(certificate: &ServedCertificate, most: i64) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&certificate.fingerprint[..8]);
    let most = u64::try_from(most).unwrap_or(0);
    let share = u64::from_be_bytes(first) % most.saturating_add(1).max(1);
    i64::try_from(share).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::super::params::Params;
    use super::*;
    use crate::tls::ChallengeKind;

    pub(crate) fn params(folder: &Path) -> Params {
        Params {
            entry: "web".into(),
            names: vec!["shop.test".to_owned()],
            contact: Vec::new(),
            directory: "https://acme.test/directory".to_owned(),
            folder: folder.to_owned(),
            challenge: ChallengeKind::TlsAlpn01,
            ca: None,
        }
    }

    fn certificate(print: u8, not_before: i64, not_after: i64) -> ServedCertificate {
        ServedCertificate {
            file: "web.pem".into(),
            names: Vec::new(),
            not_before,
            not_after,
            fingerprint: [print; 32],
        }
    }

    #[test]
    fn it_is_due_at_two_thirds_or_a_twentieth_earlier() {
        let day = 24 * 60 * 60;
        let all: Vec<i64> = (0..=255)
            .map(|print| due(&certificate(print, day, 91 * day)))
            .collect();
        let (first, last) = (all.iter().min().unwrap(), all.iter().max().unwrap());
        assert!(*first >= 61 * day - 90 * day / 20, "{first}");
        assert!(*last <= 61 * day, "{last}");
        assert!(last - first > 3 * day, "they are spread");
        assert_eq!(due(&certificate(7, day, 91 * day)), all[7]);
    }

    #[test]
    fn what_the_authority_wants_holds_while_there_is_time_left() {
        let kept = |print| Kept {
            certificate: certificate(print, 0, 1000),
            origin: String::new(),
        };
        let chosen: Vec<i64> = (0..=255)
            .map(|print| within(&kept(print), &(100, 300)))
            .collect();
        assert!(chosen.iter().all(|due| (100..=300).contains(due)));
        assert!(chosen.iter().max() > chosen.iter().min().map(|least| least + 100).as_ref());
        assert_eq!(within(&kept(7), &(100, 300)), chosen[7]);
        assert_eq!(within(&kept(7), &(5000, 6000)), 950);
        assert!(within(&kept(7), &(-5000, -4000)) < 0);
        assert!(within(&kept(7), &(i64::MIN, i64::MAX)) <= 950);
    }

    #[test]
    fn odd_dates_are_survived() {
        for (from, to) in [(10, 10), (10, 0), (i64::MIN, i64::MAX), (0, 30)] {
            let due = due(&certificate(255, from, to));
            assert!(due >= from || from == 10, "{from} {to} {due}");
        }
        assert!((17..=20).contains(&due(&certificate(3, 0, 30))));
    }
}
