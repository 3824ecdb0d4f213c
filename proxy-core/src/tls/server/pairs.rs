//! Finds the pairs of certificates and keys that the parameters name, in files and in folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::invalid::{Invalid, InvalidPart};
use super::params::AcceptorParams;
use crate::tls::follow::listed;
use crate::tls::pem::{self, Bad};

/// Where a key begins in a file that may hold one beside certificates.
const KEY: &[u8] = b"PRIVATE KEY-----";

/// The file of a certificate, and that of its key.
pub(super) type Pair = (PathBuf, PathBuf);

/// All pairs: those that are named first, then those of folders.
pub(super) fn found(params: &AcceptorParams) -> Result<Vec<Pair>, Invalid> {
    let mut pairs = params.pairs.clone();
    for folder in &params.folders {
        let found = in_folder(folder)?;
        if found.is_empty() {
            let help = "put NAME.crt or NAME.pem into it, with NAME.key beside";
            let bad = Bad::new(folder, "the folder holds no pair", help);
            return Err(Invalid::new(InvalidPart::Folder, folder, bad));
        }
        pairs.extend(found);
    }
    if pairs.is_empty() && params.obtained.is_none() {
        let bad = Bad {
            message: "there is no certificate".to_owned(),
            help: "name a certificate and its key, or a folder of pairs",
        };
        return Err(Invalid::new(InvalidPart::Certificate, Path::new(""), bad));
    }
    Ok(pairs)
}

/// What has no key is passed over: such as `ca.crt` beside `tls.crt` and `tls.key`.
fn in_folder(folder: &Path) -> Result<Vec<Pair>, Invalid> {
    let files = listed(folder).map_err(|error| {
        let help = "name a folder that this user can read";
        let bad = Bad::new(folder, error, help);
        Invalid::new(InvalidPart::Folder, folder, bad)
    })?;
    let mut pairs = BTreeMap::new();
    for file in &files {
        let extension = file.extension().and_then(|extension| extension.to_str());
        let key = file.with_extension("key");
        let key = match extension {
            Some("crt" | "pem") if files.contains(&key) => key,
            Some("pem") if holds_key(file) => file.clone(),
            _ => continue,
        };
        pairs.insert(file.clone(), key);
    }
    Ok(pairs.into_iter().collect())
}

fn holds_key(file: &Path) -> bool {
    let bytes = pem::read(file).unwrap_or_default();
    memchr::memmem::find(&bytes, KEY).is_some()
}
