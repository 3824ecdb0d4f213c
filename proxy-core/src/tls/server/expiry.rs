//! Warns of certificates that are about to expire: 30 days before, 7 days, 1 day, and when they have.

use std::collections::HashMap;
use std::sync::Arc;

use super::certificate::ServedCertificate;

const DAY: i64 = 24 * 60 * 60;

/// So long before its end a certificate is warned of, in seconds.
const STEPS: [i64; 4] = [30 * DAY, 7 * DAY, DAY, 0];

/// What was warned of already.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// Steps that were taken, by the certificate's fingerprint.
    warned: HashMap<[u8; 32], usize>,
    /// When it was last asked which have begun to be valid.
    asked: Option<i64>,
}

impl Expiry {
    /// Warns in the log, of each certificate once a step.
    pub(super) fn warn(&mut self, entry: &str, served: &[Arc<ServedCertificate>], now: i64) {
        for certificate in self.due(served, now) {
            let file = certificate.file.display();
            let names = certificate.names.join(", ");
            match certificate.not_after - now {
                left if left < 0 => {
                    tracing::warn!(entry, %file, names, "a TLS certificate has expired");
                }
                left => {
                    let hours = left / 3600;
                    tracing::warn!(entry, %file, names, hours, "a TLS certificate expires soon");
                }
            }
        }
    }

    /// Whether one has begun to be valid since the last call: it may now go before another.
    pub(super) fn has_begun(&mut self, served: &[Arc<ServedCertificate>], now: i64) -> bool {
        let last = self.asked.replace(now).unwrap_or(now);
        let begun = |one: &Arc<ServedCertificate>| last < one.not_before && one.not_before <= now;
        served.iter().any(begun)
    }

    fn due(&mut self, served: &[Arc<ServedCertificate>], now: i64) -> Vec<Arc<ServedCertificate>> {
        let is_served = |print: &[u8; 32]| {
            served
                .iter()
                .any(|certificate| certificate.fingerprint == *print)
        };
        if self.warned.len() > served.len() {
            self.warned.retain(|print, _| is_served(print));
        }
        let mut due = Vec::new();
        for certificate in served {
            let left = certificate.not_after.saturating_sub(now);
            let steps = STEPS.iter().filter(|step| left < **step).count();
            let taken = self.warned.entry(certificate.fingerprint).or_default();
            if steps > *taken {
                *taken = steps;
                due.push(Arc::clone(certificate));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_begins_once() {
        let served = [certificate(1, 100 * DAY)];
        let mut expiry = Expiry::default();
        let begun = [-20, -10, 0, 10].map(|now| expiry.has_begun(&served, now));
        assert_eq!(begun, [false, false, true, false]);
    }

    fn certificate(print: u8, not_after: i64) -> Arc<ServedCertificate> {
        Arc::new(ServedCertificate {
            file: "cert.pem".into(),
            names: Vec::new(),
            not_before: 0,
            not_after,
            fingerprint: [print; 32],
        })
    }

    #[test]
    fn each_step_is_warned_of_once() {
        let served = [certificate(1, 100 * DAY), certificate(2, 1000 * DAY)];
        let mut expiry = Expiry::default();
        let mut warned = Vec::new();
        for hour in 0..=101 * 24 {
            let now = hour * 3600;
            for certificate in expiry.due(&served, now) {
                assert_eq!(certificate.fingerprint, [1; 32]);
                warned.push(hour);
            }
        }
        let expected = [70 * 24 + 1, 93 * 24 + 1, 99 * 24 + 1, 100 * 24 + 1];
        assert_eq!(warned, expected);
    }

    #[test]
    fn a_late_start_warns_once_and_a_new_certificate_begins_anew() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.due(&[certificate(1, 3 * DAY)], 0).len(), 1);
        assert_eq!(expiry.due(&[certificate(1, 3 * DAY)], 10).len(), 0);
        assert_eq!(expiry.due(&[certificate(2, 20 * DAY)], 10).len(), 1);
        assert_eq!(expiry.due(&[certificate(2, 20 * DAY)], 20).len(), 0);
        assert!(expiry.warned.len() <= 2);
    }
}
