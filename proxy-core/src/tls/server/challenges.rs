//! The answers to challenges of an ACME authority (RFC 8555, 8), as files of a folder.
//!
//! Whoever shares the folder can give them: the authority may ask any replica, and any entry of the process.
//! A file is there while the authority may ask. What it holds is no secret: whoever asks is told it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::Semaphore;

use super::params::ChallengeKind;
use crate::tls::private::write_private;

/// The folder's name in that of the certificates.
const WITHIN: &str = "challenges";

/// No answer is longer: a token, and the digest of a key (RFC 8555, 8.1).
const MOST_BYTES: u64 = 1024;

/// So many look-ups are made at the same time, whoever asks; the others wait for their turn.
static LOOK_UPS: Semaphore = Semaphore::const_new(8);

/// No token, and no name of a host, is longer.
const LONGEST_SUBJECT: usize = 253;

/// The answers that are in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenges(PathBuf);

/// An answer that can be asked for until it is dropped.
#[derive(Debug)]
pub struct Published(PathBuf);

impl Challenges {
    /// Those of the folder that keeps certificates.
    pub fn of(folder: &Path) -> Self {
        Self(folder.join(WITHIN))
    }

    /// Takes away what an earlier process has left, and makes the folder where there is none.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&self.0)
    }

    /// Lets `answer` be found under `subject`: a token, or a host's name.
    pub fn publish(
        &self,
        kind: ChallengeKind,
        subject: &str,
        answer: &str,
    ) -> io::Result<Published> {
        let file = self.file(kind, subject);
        let file = file.ok_or_else(|| io::Error::other("the authority's token is no token"))?;
        write_private(&file, answer.as_bytes())?;
        Ok(Published(file))
    }

    /// The answer for `subject`, if there is one at the moment.
    pub async fn find(&self, kind: ChallengeKind, subject: &str) -> Option<String> {
        let file = self.file(kind, subject)?;
        let turn = LOOK_UPS.acquire().await.ok()?;
        // Not on this thread: the folder may be far away.
        let read = tokio::task::spawn_blocking(move || {
            // Held until it is over, whether or not somebody waits for it.
            let _turn = turn;
            let size = fs::metadata(&file).ok()?.len();
            let text = (size <= MOST_BYTES).then(|| fs::read_to_string(&file).ok());
            text.flatten().filter(|text| !text.is_empty())
        });
        read.await.ok().flatten()
    }

    /// None where no challenge is called so.
    fn file(&self, kind: ChallengeKind, subject: &str) -> Option<PathBuf> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT || !subject.bytes().all(is_plain) {
            return None;
        }
        // Never the folder itself or the one above, whatever the subject is.
        let kind = match kind {
            ChallengeKind::Http01 => "http-01",
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
        };
        Some(self.0.join(format!("{kind}:{subject}")))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_found_by_its_kind_and_subject_while_it_is_published() {
        use ChallengeKind::{Http01, TlsAlpn01};
        let folder = tempfile::tempdir().unwrap();
        let challenges = Challenges::of(folder.path());
        assert!(challenges.publish(Http01, "token", "x").is_err());
        challenges.clear().unwrap();
        let published = challenges.publish(Http01, "-a_B", "-a_B.digest").unwrap();
        // Another replica.
        let other = Challenges::of(folder.path());
        let found = other.find(Http01, "-a_B").await;
        assert_eq!(found.as_deref(), Some("-a_B.digest"));
        assert_eq!(other.find(TlsAlpn01, "-a_B").await, None);
        for subject in ["", "..", "../account", "a/b", "a\0b", &"a".repeat(254)] {
            assert_eq!(other.find(Http01, subject).await, None, "{subject}");
        }
        drop(published);
        assert_eq!(other.find(Http01, "-a_B").await, None);
        std::mem::forget(challenges.publish(TlsAlpn01, "shop.test", "left").unwrap());
        challenges.clear().unwrap();
        assert_eq!(other.find(TlsAlpn01, "shop.test").await, None);
    }
}
