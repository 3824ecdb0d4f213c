//! The folder of certificates: what is in it of one, and the lock that lets one process order at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::failure::Failure;
use super::params::Params;
use super::status::Outcome;
use crate::tls::{ServedCertificate, write_private};

/// The file that is locked while somebody orders.
const LOCK: &str = "lock";

/// A certificate that is there, and can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) certificate: ServedCertificate,
    /// What was asked of whom, as the file's first line says.
    pub(super) origin: String,
}

/// Nobody else who shares the folder orders until this is dropped, or its process has ended.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "it is locked while it is open")] File);

impl Kept {
    /// What the folder has; none where that cannot be used.
    pub(super) fn read(params: &Params) -> Option<Self> {
        let file = params.file();
        let certificate = ServedCertificate::of_file(&file).ok()?;
        let text = std::fs::read_to_string(&file).ok()?;
        let origin = text.lines().next().unwrap_or_default().to_owned();
        Some(Self {
            certificate,
            origin,
        })
    }

    /// Whether it was asked of the same authority for the same names, and bears them: it may bear more.
    pub(super) fn suits(&self, params: &Params) -> bool {
        let borne = &self.certificate.names;
        self.origin == origin(params) && params.names.iter().all(|name| borne.contains(name))
    }
}

/// The line that says what was asked of whom. Readers of PEM pass over it (RFC 7468, 5.2).
fn origin(params: &Params) -> String {
    let mut names = params.names.clone();
    names.sort();
    format!("Obtained from {} for {}", params.directory, names.join(" "))
}

/// Keeps a chain that was obtained and its key, both in PEM, once they were seen to be usable at `now`, in seconds
/// since 1970. Until then nothing has changed.
pub(super) fn keep(params: &Params, chain: &str, key: &str, now: i64) -> Result<(), Failure> {
    let file = params.file();
    let of_file = |error: io::Error| Failure::storage(&file, &error);
    let origin = origin(params);
    let text = format!("{origin}\n{}\n{}\n", chain.trim_end(), key.trim_end());
    let candidate = params
        .folder
        .join(format!(".{}.candidate.pem", params.entry));
    write_private(&candidate, text.as_bytes()).map_err(of_file)?;
    let unusable = |detail: String| {
        let _ = std::fs::remove_file(&candidate);
        Failure::new(Outcome::Unusable, detail)
    };
    let certificate = ServedCertificate::of_file(&candidate).map_err(unusable)?;
    let kept = Kept {
        certificate,
        origin,
    };
    if !kept.suits(params) {
        let names = kept.certificate.names.join(", ");
        return Err(unusable(format!(
            "the certificate bears other names: {names:.200}"
        )));
    }
    if !kept.certificate.is_valid(now) {
        let why = "the certificate is not valid now; is the clock of this machine right?";
        return Err(unusable(why.to_owned()));
    }
    std::fs::rename(&candidate, &file).map_err(of_file)
}

/// Takes the lock; none while another process, or another entry of this one, has it.
pub(super) fn lock(params: &Params) -> Result<Option<Lock>, Failure> {
    let path = lock_file(params);
    let of_file = |error: io::Error| Failure::storage(&path, &error);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(&path).map_err(of_file)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(of_file(error)),
    }
}

fn lock_file(params: &Params) -> PathBuf {
    params.folder.join(LOCK)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::super::renewal::tests::params;
    use super::*;

    const NOW: i64 = 1_700_000_000;

    /// A certificate and its key, in PEM.
    fn issued(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut wanted = CertificateParams::new(names).unwrap();
        change(&mut wanted);
        let key = KeyPair::generate().unwrap();
        (wanted.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn what_can_be_used_is_kept_and_nothing_else_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut params = params(folder.path());
        let keep = |params: &Params, (chain, key): &(String, String)| {
            let kept = keep(params, chain, key, NOW);
            kept.map_err(|failure| failure.outcome)
        };
        assert_eq!(Kept::read(&params), None);
        // An authority may put in more names than it was asked for.
        let good = issued(&["shop.test", "www.shop.test"], |_| {});
        keep(&params, &good).unwrap();
        let kept = Kept::read(&params).unwrap();
        assert!(kept.suits(&params));
        let other = issued(&["shop.test"], |_| {});
        for bad in [
            (good.0.clone(), other.1.clone()),
            (String::new(), good.1.clone()),
            issued(&["www.shop.test"], |_| {}),
            issued(&["shop.test"], |wanted| {
                wanted.not_after = date_time_ymd(2020, 1, 1)
            }),
        ] {
            assert_eq!(keep(&params, &bad), Err(Outcome::Unusable));
            assert_eq!(Kept::read(&params).as_ref(), Some(&kept));
        }
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "what could not be used is gone");
        params.names.push("www.shop.test".to_owned());
        assert!(!kept.suits(&params), "it was not asked for both");
        params.names.pop();
        params.directory.push('2');
        assert!(!kept.suits(&params), "it was asked of another authority");
    }

    #[test]
    fn one_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let params = params(folder.path());
        let first = lock(&params).unwrap();
        assert!(first.is_some() && lock(&params).unwrap().is_none());
        drop(first);
        assert!(lock(&params).unwrap().is_some());
    }
}
