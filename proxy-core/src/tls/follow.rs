//! Follows files with certificates: what is written anew is loaded, and what cannot be used changes nothing.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use twox_hash::XxHash64;

use crate::files::{Changes, next_look};

/// How often files are looked at although no change was told: not every file system tells them.
const LOOK: Duration = Duration::from_secs(10);

/// What is followed.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    pub(super) files: Vec<PathBuf>,
    /// Folders of which every file counts.
    pub(super) folders: Vec<PathBuf>,
}

/// One content of the files, to be told from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prints(Vec<Option<u64>>);

impl Sources {
    /// The content at this moment. To be taken before the files are read for use: what changes in
    /// between is then noticed.
    pub(super) fn prints(&self) -> Prints {
        let mut prints: Vec<_> = self.files.iter().map(|file| print(file)).collect();
        for folder in &self.folders {
            for file in listed(folder).unwrap_or_default() {
                let name = file.as_os_str().as_encoded_bytes();
                prints.push(Some(XxHash64::oneshot(0, name)));
                prints.push(print(&file));
            }
            prints.push(None);
        }
        Prints(prints)
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// Loads what changes, from the content `last` on, for as long as it is polled. `tick` is called
    /// now, after each change, and every ten seconds.
    pub(super) async fn follow<E: fmt::Display>(
        &self,
        entry: &str,
        mut last: Prints,
        mut load: impl FnMut() -> Result<(), E>,
        mut tick: impl FnMut(),
    ) {
        if self.is_empty() {
            return std::future::pending().await;
        }
        let files: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        let folders: Vec<&Path> = self.folders.iter().map(PathBuf::as_path).collect();
        let mut changes = Changes::within(&files, &folders).ok();
        loop {
            let now = self.prints();
            if now == last {
                tick();
                next_look(&mut changes, LOOK).await;
                continue;
            }
            last = now;
            match load() {
                Ok(()) => tracing::info!(entry, "TLS files reloaded"),
                Err(error) => {
                    tracing::warn!(entry, %error, "TLS files rejected; the former ones stay in use");
                }
            }
        }
    }
}

/// The visible files of a folder, in the order of their names.
pub(super) fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for found in fs::read_dir(folder)? {
        let file = found?.path();
        let name = file.file_name().unwrap_or_default();
        if !name.as_encoded_bytes().starts_with(b".") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn print(file: &Path) -> Option<u64> {
    Some(XxHash64::oneshot(0, &super::pem::read(file).ok()?))
}
