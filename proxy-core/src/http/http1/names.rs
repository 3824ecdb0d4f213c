//! Field names that have come before: what was parsed once is found again by its bytes.
//!
//! The heads of one connection have the same few names each time, and so have those of all connections of
//! a thread. What a client makes up may push others out, and costs what parsing costs.

use std::cell::RefCell;

use http::HeaderName;

use super::case::Manner;

/// How many names a thread keeps: a power of two.
const KEPT: usize = 256;

/// Longer names are parsed each time.
const LONGEST: usize = 64;

/// The names that a thread keeps, each in one of two places.
#[derive(Debug, Default)]
pub(super) struct Names {
    kept: Vec<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    written: Box<[u8]>,
    name: HeaderName,
    manner: Manner,
}

thread_local! {
    static NAMES: RefCell<Names> = const { RefCell::new(Names { kept: Vec::new() }) };
}

/// Lends the names of this thread.
pub(super) fn lend<R>(to: impl FnOnce(&mut Names) -> R) -> R {
    NAMES.with_borrow_mut(to)
}

impl Names {
    /// The name that is written so, and in what manner it is written; none if it is no token.
    pub(super) fn find(&mut self, written: &[u8]) -> Option<(HeaderName, Manner)> {
        let place = place(written);
        for place in [place, place ^ 1] {
            if let Some(Some(kept)) = self.kept.get(place)
                && *kept.written == *written
            {
                return Some((kept.name.clone(), kept.manner));
            }
        }
        let name = HeaderName::from_bytes(written).ok()?;
        let manner = Manner::of(written);
        if written.len() <= LONGEST {
            self.keep(place, written, &name, manner);
        }
        Some((name, manner))
    }

    /// The one that was kept here moves to the other place: of two that share both, the older one goes.
    fn keep(&mut self, place: usize, written: &[u8], name: &HeaderName, manner: Manner) {
        if self.kept.is_empty() {
            self.kept.resize_with(KEPT, || None);
        }
        self.kept.swap(place, place ^ 1);
        self.kept[place] = Some(Kept {
            written: written.into(),
            name: name.clone(),
            manner,
        });
    }
}

/// Where a name belongs: names of one length mostly differ in these bytes.
fn place(written: &[u8]) -> usize {
    let at = |index: usize| usize::from(written.get(index).copied().unwrap_or_default());
    let length = written.len();
    let mixed = length + 5 * at(0) + 17 * at(length / 2) + 67 * at(length.saturating_sub(1));
    mixed % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_however_often_it_comes() {
        let mut names = Names::default();
        for _ in 0..3 {
            let (name, manner) = names.find(b"X-Request-Id").unwrap();
            assert_eq!(
                (name.as_str(), manner),
                ("x-request-id", Manner::of(b"X-Request-Id"))
            );
            let (name, manner) = names.find(b"x-request-id").unwrap();
            assert_eq!(
                (name.as_str(), manner),
                ("x-request-id", Manner::of(b"x-request-id"))
            );
        }
    }

    #[test]
    fn no_token_is_no_name() {
        let mut names = Names::default();
        assert!(names.find(b"a b").is_none());
        assert!(names.find(b"").is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut names = Names::default();
        for number in 0..10_000 {
            let written = format!("X-{number}");
            let (name, _) = names.find(written.as_bytes()).unwrap();
            assert_eq!(name.as_str(), written.to_lowercase());
        }
        assert_eq!(names.kept.len(), KEPT);
        let long = "a".repeat(LONGEST + 1);
        assert_eq!(names.find(long.as_bytes()).unwrap().0.as_str(), long);
        assert!(
            names
                .kept
                .iter()
                .flatten()
                .all(|kept| kept.written.len() <= LONGEST)
        );
    }

    #[test]
    fn two_names_of_one_place_are_both_kept() {
        let mut names = Names::default();
        let first = b"a-0".as_slice();
        let other = (0..100_000)
            .map(|number| format!("a-{number}"))
            .find(|other| other.as_bytes() != first && place(other.as_bytes()) == place(first));
        let other = other.unwrap();
        names.find(first).unwrap();
        names.find(other.as_bytes()).unwrap();
        let kept: Vec<_> = names
            .kept
            .iter()
            .flatten()
            .map(|kept| &*kept.written)
            .collect();
        assert!(
            kept.contains(&first) && kept.contains(&other.as_bytes()),
            "{kept:?}"
        );
    }
}
