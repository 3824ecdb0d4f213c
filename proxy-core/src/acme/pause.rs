//! The pause after an order that failed: how long it is, and the file that keeps it for other replicas and after a restart.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::failure::Failure;
use super::params::Params;
use super::status::Outcome;
use crate::tls::write_private;

/// The first pause after what cost the authority next to nothing, and the longest one, in seconds.
const UNREACHABLE: (u64, u64) = (5, 15 * 60);

/// The same after anything else: with each the threefold of the former one, five orders fail in the first hour, which
/// is what Let's Encrypt lets fail ("Authorization Failures per Identifier per Account").
const REFUSED: (u64, u64) = (60, 6 * 60 * 60);

/// No pause is longer, whatever the authority wants, in seconds.
const LONGEST_OF_ALL: i64 = 7 * 24 * 60 * 60;

/// An order that failed, and when the next one may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pause {
    /// Tells one request for a certificate from another: other settings are not held up.
    asked: u64,
    /// Orders in a row that failed.
    pub(super) failures: u32,
    /// Until when, in seconds since 1970.
    pub(super) until: i64,
    /// What was wrong.
    pub(super) why: String,
}

impl Pause {
    /// The pause after `failure`, which follows `former`; `asked_for` is what the authority wants.
    pub(super) fn after(
        failure: &Failure,
        former: Option<&Self>,
        asked_for: Option<Duration>,
        params: &Params,
        now: i64,
    ) -> Self {
        let failures = former.map_or(0, |former| former.failures).saturating_add(1);
        let (first, longest) = match failure.outcome {
            Outcome::Unreachable => UNREACHABLE,
            _ => REFUSED,
        };
        let own = first.saturating_mul(3_u64.saturating_pow(failures - 1));
        let own = jittered(own.min(longest));
        let least = asked_for.map_or(0, |pause| pause.as_secs());
        let pause = i64::try_from(own.max(least)).unwrap_or(i64::MAX);
        let pause = pause.min(LONGEST_OF_ALL);
        Self {
            asked: print(params),
            failures,
            until: now.saturating_add(pause),
            why: failure.detail.clone(),
        }
    }

    /// The one that the folder has for just these settings. One that lasts longer from `now` on than any is made
    /// was made by a clock that was wrong.
    pub(super) fn read(params: &Params, now: i64) -> Option<Self> {
        let text = fs::read(file(params)).ok()?;
        let pause: Self = serde_json::from_slice(&text).ok()?;
        let is_own = pause.asked == print(params);
        (is_own && pause.until.saturating_sub(now) <= LONGEST_OF_ALL).then_some(pause)
    }

    /// Keeps it.
    pub(super) fn write(&self, params: &Params) -> io::Result<()> {
        write_private(&file(params), &serde_json::to_vec(self)?)
    }

    /// Takes it away: an order has succeeded.
    pub(super) fn end(params: &Params) {
        let _ = fs::remove_file(file(params));
    }
}

/// Where it is. An operator who has mended what was wrong takes it away.
pub(super) fn file(params: &Params) -> PathBuf {
    params.folder.join(format!("{}.failed.json", params.entry))
}

/// A tenth more or less, so that those who failed together do not come back together.
fn jittered(seconds: u64) -> u64 {
    let tenth = seconds / 10;
    seconds - tenth + fastrand::u64(0..=2 * tenth)
}

fn print(params: &Params) -> u64 {
    let Params {
        names,
        contact,
        directory,
        challenge,
        ..
    } = params;
    let all = format!("{names:?} {contact:?} {directory} {challenge:?}");
    XxHash64::oneshot(0, all.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::renewal::tests::params;
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_hold_for_the_same_settings_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut params = params(folder.path());
        for (outcome, firsts, longest) in [
            (Outcome::Unreachable, [5, 15, 45, 135], 900),
            (Outcome::Unverified, [60, 180, 540, 1620], 21_600),
        ] {
            let failure = Failure::new(outcome, "why");
            let mut former: Option<Pause> = None;
            for count in 1..40 {
                let pause = Pause::after(&failure, former.as_ref(), None, &params, 1000);
                assert_eq!(pause.failures, count);
                let until = u64::try_from(pause.until).unwrap() - 1000;
                let expected = match firsts.get(count as usize - 1) {
                    Some(own) => own - own / 10..=own + own / 10,
                    None if count < 8 => firsts[3]..=longest + longest / 10,
                    None => longest - longest / 10..=longest + longest / 10,
                };
                assert!(expected.contains(&until), "{count}: {until} s");
                former = Some(pause);
            }
            let pause = former.unwrap();
            pause.write(&params).unwrap();
            assert_eq!(Pause::read(&params, 1000), Some(pause));
        }
        params.names.push("more.test".to_owned());
        assert_eq!(Pause::read(&params, 1000), None);
        params.names.pop();
        let long_ago = -8 * 24 * 60 * 60;
        assert_eq!(Pause::read(&params, long_ago), None, "the clock was wrong");
        Pause::end(&params);
        assert_eq!(Pause::read(&params, 1000), None);
    }

    #[test]
    fn what_the_authority_asks_for_is_the_least() {
        let params = params("/nowhere".as_ref());
        let failure = Failure::new(Outcome::RateLimited, "too many");
        let day = Some(Duration::from_secs(86_400));
        let pause = Pause::after(&failure, None, day, &params, 0);
        assert_eq!(pause.until, 86_400);
        let year = Some(Duration::from_secs(365 * 86_400));
        let pause = Pause::after(&failure, None, year, &params, 0);
        assert_eq!(pause.until, LONGEST_OF_ALL);
        let second = Some(Duration::from_secs(1));
        let pause = Pause::after(&failure, None, second, &params, 0);
        assert!((54..=66).contains(&pause.until), "{}", pause.until);
    }
}
