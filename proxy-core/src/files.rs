//! Tells of changes of files, however they are written: in place, by a rename, or by swapping a link.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// A change is told once it has been quiet for this long: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(50);

/// So often is it waited for quiet: a file that is written all the time is told all the same.
const PATIENCE: usize = 20;

/// The link that Kubernetes swaps, through which mounted files are reached.
const KUBERNETES: &str = "..data";

/// The changes of some files, until dropped.
#[derive(Debug)]
pub struct Changes {
    told: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches the folders of `files`, because a file that is replaced is another file.
    pub fn of(files: &[&Path]) -> notify::Result<Self> {
        Self::within(files, &[])
    }

    /// The same, and every change in `folders`.
    pub fn within(files: &[&Path], folders: &[&Path]) -> notify::Result<Self> {
        let (tell, told) = mpsc::channel(1);
        let names: BTreeSet<_> = files.iter().filter_map(|file| file.file_name()).collect();
        let names: BTreeSet<_> = names.into_iter().map(OsStr::to_owned).collect();
        let whole: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        let is_ours = move |path: &PathBuf| {
            let is_named = |name| name == KUBERNETES || names.contains(name);
            let is_in = |folder: &PathBuf| path.starts_with(folder);
            path.file_name().is_some_and(is_named) || whole.iter().any(is_in)
        };
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event
                    .is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(&is_ours))
                {
                    let _ = tell.try_send(());
                }
            })?;
        let folders = folders.iter().copied();
        let folders: BTreeSet<_> = files
            .iter()
            .map(|file| folder(file))
            .chain(folders)
            .collect();
        for folder in folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            told,
            _watcher: watcher,
        })
    }

    /// Returns when a file has changed and then been quiet for a moment.
    pub async fn next(&mut self) {
        if self.told.recv().await.is_none() {
            return std::future::pending().await;
        }
        for _ in 0..PATIENCE {
            let again = tokio::time::timeout(SETTLE, self.told.recv()).await;
            if !matches!(again, Ok(Some(()))) {
                break;
            }
        }
    }
}

fn folder(file: &Path) -> &Path {
    let folder = file.parent();
    let named = folder.filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}
