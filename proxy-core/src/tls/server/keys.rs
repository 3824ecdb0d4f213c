//! The keys under which session tickets are sealed: made at random and changed in time, or shared by replicas through a file.
//!
//! A ticket is the key's name (16 bytes), a nonce (12 bytes), and what AES-256-GCM-SIV (RFC 8452)
//! makes of the moment of its issue and the session. A nonce drawn twice harms it little, which
//! matters because replicas draw nonces under one key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER_PERMISSIVE;
use parking_lot::Mutex;

use super::invalid::{Invalid, InvalidPart};
use crate::tls::pem::{self, Bad};

/// Keys that are kept when they change in time: the one that seals, and two that only open.
const KEPT: usize = 3;

/// The most keys of a file.
const MOST: usize = 16;

/// How long a ticket of shared keys lives, in seconds.
const SHARED_LIFE: u64 = 24 * 60 * 60;

/// No ticket may live longer (RFC 8446, 4.6.1), in seconds.
const LONGEST_LIFE: u64 = 7 * 24 * 60 * 60;

/// Clocks of replicas may differ by so many seconds.
const SKEW: u64 = 5 * 60;

const NAME: usize = 16;
const NONCE: usize = 12;
const KEY: usize = 32;
/// The moment of the issue, in seconds since 1970.
const ISSUED: usize = 8;

/// The keys that are in use.
pub(super) struct Keys {
    /// The first one seals.
    current: ArcSwap<Vec<Arc<Key>>>,
    /// Seconds between two changes; none for keys of a file.
    period: Option<u64>,
    /// When they change next.
    next: Mutex<u64>,
}

struct Key {
    name: [u8; NAME],
    cipher: RandomizedNonceKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.current.load().len();
        f.debug_struct("Keys")
            .field("count", &count)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Random keys that change every `period`, the first time that long after `now`.
    pub(super) fn rotated(period: Duration, now: u64) -> Option<Self> {
        let period = period.as_secs().max(1);
        Some(Self {
            current: ArcSwap::from_pointee(vec![Key::random()?]),
            period: Some(period),
            next: Mutex::new(now.saturating_add(period)),
        })
    }

    /// The keys of a file.
    pub(super) fn shared(keys: SharedKeys) -> Self {
        Self {
            current: ArcSwap::from_pointee(keys.0),
            period: None,
            next: Mutex::new(u64::MAX),
        }
    }

    /// Takes what the file holds now.
    pub(super) fn replace(&self, keys: SharedKeys) {
        self.current.store(Arc::new(keys.0));
    }

    /// How long a ticket lives, in seconds.
    pub(super) fn life(&self) -> u64 {
        let life = self
            .period
            .map_or(SHARED_LIFE, |period| period.saturating_mul(2));
        life.min(LONGEST_LIFE)
    }

    /// Seals `plain` for whoever has the same `context`.
    pub(super) fn seal(&self, plain: &[u8], context: &[u8], now: u64) -> Option<Vec<u8>> {
        self.turn(now);
        let keys = self.current.load();
        let key = keys.first()?;
        let mut sealed = Vec::with_capacity(ISSUED + plain.len() + 16);
        sealed.extend_from_slice(&now.to_be_bytes());
        sealed.extend_from_slice(plain);
        let bound = Aad::from(bound(&key.name, context));
        let nonce = key
            .cipher
            .seal_in_place_append_tag(bound, &mut sealed)
            .ok()?;
        let mut ticket = Vec::with_capacity(NAME + NONCE + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    /// What was sealed, unless that was in another context, under a key that is gone, or too long ago.
    pub(super) fn open(&self, ticket: &[u8], context: &[u8], now: u64) -> Option<Vec<u8>> {
        self.turn(now);
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE)?;
        let keys = self.current.load();
        let key = keys.iter().find(|key| key.name == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let bound = Aad::from(bound(&key.name, context));
        let plain = key.cipher.open_in_place(nonce, bound, &mut opened).ok()?;
        let (issued, session) = plain.split_first_chunk::<ISSUED>()?;
        let issued = u64::from_be_bytes(*issued);
        let age = now.saturating_sub(issued);
        let is_alive = age <= self.life() && issued <= now.saturating_add(SKEW);
        is_alive.then(|| session.to_vec())
    }

    /// Changes the keys as often as it is time for.
    fn turn(&self, now: u64) {
        let Some(period) = self.period else {
            return;
        };
        // Whoever does not get in finds keys that are good a moment longer.
        let Some(mut next) = self.next.try_lock() else {
            return;
        };
        if now < *next {
            return;
        }
        let turns = (now - *next) / period + 1;
        let mut keys = Vec::clone(&self.current.load());
        for _ in 0..turns.min(KEPT as u64) {
            let Some(key) = Key::random() else {
                tracing::warn!(
                    "no random bytes for a new key of session tickets; the former one stays in use"
                );
                return;
            };
            keys.insert(0, key);
        }
        keys.truncate(KEPT);
        self.current.store(Arc::new(keys));
        *next = next.saturating_add(turns.saturating_mul(period));
    }
}

impl Key {
    fn random() -> Option<Arc<Self>> {
        let mut bytes = [0; KEY];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Self::of(&bytes)
    }

    fn of(bytes: &[u8; KEY]) -> Option<Arc<Self>> {
        // Nothing about the key follows from its digest, and all replicas find the same one.
        let mut context = Context::new(&SHA256);
        context.update(b"remora: the name of a ticket key");
        context.update(bytes);
        let mut name = [0; NAME];
        name.copy_from_slice(context.finish().as_ref().get(..NAME)?);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, bytes).ok()?;
        Some(Arc::new(Self { name, cipher }))
    }
}

/// What a ticket is bound to.
fn bound(name: &[u8; NAME], context: &[u8]) -> Vec<u8> {
    [name, context].concat()
}

/// The keys that a file holds.
pub(super) struct SharedKeys(Vec<Arc<Key>>);

impl SharedKeys {
    /// Reads a file; its format is told at [`Tickets::Shared`](super::Tickets::Shared).
    pub(super) fn load(file: &Path) -> Result<Self, Invalid> {
        let keys = pem::read(file).and_then(|bytes| Self::parse(file, &bytes));
        keys.map_err(|bad| Invalid::new(InvalidPart::Tickets, file, bad))
    }

    fn parse(file: &Path, bytes: &[u8]) -> Result<Self, Bad> {
        let help = "write 1 to 16 different keys, each a line of 64 hexadecimal digits, the one that seals first";
        // What a line holds is never told: it may be a key.
        let bad = |what: String| Err(Bad::new(file, what, help));
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let decoded = HEXLOWER_PERMISSIVE.decode(line).ok();
            let decoded: Option<[u8; KEY]> = decoded.and_then(|bytes| bytes.try_into().ok());
            let Some(decoded) = decoded else {
                return bad(format!("line {number} is no key"));
            };
            if decoded.iter().all(|byte| *byte == decoded[0]) {
                return bad(format!("the key in line {number} is not random"));
            }
            let Some(key) = Key::of(&decoded) else {
                return bad(format!("the key in line {number} cannot be used"));
            };
            if keys.iter().any(|former| former.name == key.name) {
                return bad(format!("the key in line {number} is there already"));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => bad("the file holds no key".to_owned()),
            count if count > MOST => bad(format!("the file holds {count} keys")),
            _ => Ok(Self(keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60;

    fn parsed(text: &str) -> Result<SharedKeys, Bad> {
        SharedKeys::parse(Path::new("keys"), text.as_bytes())
    }

    fn line(first: u8) -> String {
        let bytes: Vec<u8> = (first..first + 32).collect();
        data_encoding::HEXLOWER.encode(&bytes)
    }

    #[test]
    fn a_ticket_lives_through_two_changes_of_keys_and_no_longer_than_two_periods() {
        let keys = Keys::rotated(Duration::from_secs(12 * HOUR), 0).unwrap();
        let ticket = keys.seal(b"session", b"here", 11 * HOUR).unwrap();
        assert_eq!(keys.open(&ticket, b"here", 13 * HOUR).unwrap(), b"session");
        assert_eq!(keys.open(&ticket, b"here", 35 * HOUR).unwrap(), b"session");
        assert!(keys.open(&ticket, b"here", 35 * HOUR + 1).is_none());
        assert!(keys.open(&ticket, b"here", 37 * HOUR).is_none());
        assert_eq!(keys.current.load().len(), KEPT);
        assert_eq!(keys.life(), 24 * HOUR);
    }

    #[test]
    fn keys_that_were_not_asked_for_long_are_all_new() {
        let keys = Keys::rotated(Duration::from_secs(HOUR), 0).unwrap();
        let before = keys.current.load().first().unwrap().name;
        keys.seal(b"session", b"here", 1000 * HOUR).unwrap();
        let names: Vec<_> = keys.current.load().iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEPT);
        assert!(!names.contains(&before));
        keys.seal(b"session", b"here", 1000 * HOUR + 1).unwrap();
        assert_eq!(keys.current.load().first().unwrap().name, names[0]);
    }

    #[test]
    fn what_was_changed_or_belongs_elsewhere_does_not_open() {
        let keys = Keys::rotated(Duration::from_secs(HOUR), 0).unwrap();
        let ticket = keys.seal(b"session", b"here", 10).unwrap();
        assert!(keys.open(&ticket, b"there", 10).is_none());
        for at in 0..ticket.len() {
            assert!(keys.open(&ticket[..at], b"here", 10).is_none());
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(keys.open(&changed, b"here", 10).is_none());
        }
        assert!(keys.open(&ticket, b"here", 10).is_some());
    }

    #[test]
    fn a_file_of_keys_is_shared_and_its_later_keys_only_open() {
        let one = Keys::shared(parsed(&line(1)).unwrap());
        let text = format!(
            "# the next one\n{}\r\n\n{}\n",
            line(2).to_uppercase(),
            line(1)
        );
        let other = Keys::shared(parsed(&text).unwrap());
        let ticket = one.seal(b"session", b"here", 10).unwrap();
        assert!(other.open(&ticket, b"here", 10).is_some());
        assert!(other.open(&ticket, b"here", 10 + 25 * HOUR).is_none());
        let ticket = other.seal(b"session", b"here", 10).unwrap();
        assert!(one.open(&ticket, b"here", 10).is_none());
        one.replace(parsed(&text).unwrap());
        assert!(one.open(&ticket, b"here", 10).is_some());
    }

    #[test]
    fn malformed_files_are_refused_without_telling_what_they_hold() {
        let seventeen: Vec<String> = (1..=17).map(line).collect();
        let cases = [
            String::new(),
            "# nothing\n".to_owned(),
            line(1)[1..].to_owned(),
            format!("{}00", line(1)),
            format!("{}\n{}", line(1), line(1)),
            format!("g{}", &line(1)[1..]),
            "00".repeat(32),
            "\u{fffd}".repeat(64),
            seventeen.join("\n"),
        ];
        for text in cases {
            let bad = parsed(&text).map(drop).unwrap_err();
            assert!(!bad.message.contains(&line(1)[10..20]), "{}", bad.message);
        }
    }
}
