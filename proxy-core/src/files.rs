//! Tells of changes of files, however they are written: in place, by a rename, or by swapping a link.
//!
//! One watcher serves the whole process: a thousand entries may each follow a file, and the kernel
//! gives a user 128 watchers by default (`fs.inotify.max_user_instances`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// A change is told once it has been quiet for this long: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(50);

/// So often is it waited for quiet: a file that is written all the time is told all the same.
const PATIENCE: usize = 20;

/// The link that Kubernetes swaps, through which mounted files are reached.
const KUBERNETES: &str = "..data";

/// Who is told of a path, each under a number of its own. The watcher's thread locks it, and so
/// nobody who holds it waits for that thread.
static TOLD: Mutex<BTreeMap<PathBuf, BTreeMap<u64, mpsc::Sender<()>>>> =
    Mutex::new(BTreeMap::new());

/// The next number.
static NUMBER: AtomicU64 = AtomicU64::new(0);

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    watcher: None,
    folders: BTreeMap::new(),
});

/// The watcher, while there is a folder to watch.
struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// The folders, and for how many.
    folders: BTreeMap<PathBuf, usize>,
}

/// The changes of some files, until dropped.
#[derive(Debug)]
pub struct Changes {
    told: mpsc::Receiver<()>,
    number: u64,
    paths: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Changes {
    /// Watches the folders of `files`, because a file that is replaced is another file.
    pub fn of(files: &[&Path]) -> notify::Result<Self> {
        Self::within(files, &[])
    }

    /// The same, and every change in `folders`.
    pub fn within(files: &[&Path], folders: &[&Path]) -> notify::Result<Self> {
        let (tell, told) = mpsc::channel(1);
        let mut changes = Self {
            told,
            number: NUMBER.fetch_add(1, Relaxed),
            paths: Vec::new(),
            folders: Vec::new(),
        };
        let watched = folders.iter().map(|folder| known(folder));
        let mut watched: BTreeSet<PathBuf> = watched.collect::<Result<_, _>>()?;
        // A folder's own path stands for all that is in it.
        changes.paths.extend(watched.iter().cloned());
        for file in files {
            let folder = known(folder(file))?;
            let names = [file.file_name(), Some(KUBERNETES.as_ref())];
            let paths = names.into_iter().flatten().map(|name| folder.join(name));
            changes.paths.extend(paths);
            watched.insert(folder);
        }
        let mut all = TOLD.lock();
        for path in &changes.paths {
            let told = all.entry(path.clone()).or_default();
            told.insert(changes.number, tell.clone());
        }
        drop(all);
        for folder in watched {
            watch(&folder)?;
            changes.folders.push(folder);
        }
        Ok(changes)
    }

    /// Returns when a file has changed and then been quiet for a moment.
    pub async fn next(&mut self) {
        if self.told.recv().await.is_none() {
            return std::future::pending().await;
        }
        self.settle().await;
    }

    async fn settle(&mut self) {
        for _ in 0..PATIENCE {
            if timeout(SETTLE, self.told.recv()).await.is_err() {
                break;
            }
        }
    }
}

/// Returns at the next of `changes`, and in any case `every` so often: not every file system tells
/// of changes. What is being written at that moment is waited for, as ever.
pub async fn next_look(changes: &mut Option<Changes>, every: Duration) {
    let Some(changes) = changes else {
        return sleep(every).await;
    };
    if let Ok(Some(())) = timeout(every, changes.told.recv()).await {
        changes.settle().await;
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let mut all = TOLD.lock();
        for path in &self.paths {
            if let Some(told) = all.get_mut(path) {
                told.remove(&self.number);
                if told.is_empty() {
                    all.remove(path);
                }
            }
        }
        drop(all);
        self.folders.iter().for_each(|folder| leave(folder));
    }
}

fn watch(folder: &Path) -> notify::Result<()> {
    let mut watch = WATCH.lock();
    let Watch { watcher, folders } = &mut *watch;
    let watcher = match watcher {
        Some(watcher) => watcher,
        none => none.insert(notify::recommended_watcher(tell)?),
    };
    // Also one that is watched already: there may be another folder of its name by now.
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    *folders.entry(folder.to_owned()).or_default() += 1;
    Ok(())
}

fn leave(folder: &Path) {
    let mut watch = WATCH.lock();
    let Watch { watcher, folders } = &mut *watch;
    if let Some(count) = folders.get_mut(folder) {
        *count -= 1;
        if *count == 0 {
            folders.remove(folder);
            let _ = watcher.as_mut().map(|watcher| watcher.unwatch(folder));
        }
    }
    if folders.is_empty() {
        *watcher = None;
    }
}

/// What the watcher's thread does with an event.
fn tell(event: notify::Result<notify::Event>) {
    let Ok(event) = event else { return };
    if event.kind.is_access() {
        return;
    }
    let all = TOLD.lock();
    let tell = |told: &BTreeMap<u64, mpsc::Sender<()>>| {
        for tell in told.values() {
            let _ = tell.try_send(());
        }
    };
    if event.need_rescan() {
        // Events were lost: it may have been any.
        all.values().for_each(tell);
    } else {
        let paths = event.paths.iter();
        let paths = paths.flat_map(|path| [Some(path.as_path()), path.parent()]);
        let told = paths.flatten().filter_map(|path| all.get(path));
        told.for_each(tell);
    }
}

/// The one name of a folder: however it is reached, it is one to the kernel.
fn known(folder: &Path) -> notify::Result<PathBuf> {
    folder.canonicalize().map_err(notify::Error::io)
}

fn folder(file: &Path) -> &Path {
    let folder = file.parent();
    let named = folder.filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder of this test's own.
    fn fresh(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("remora-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[tokio::test]
    async fn who_follows_a_file_is_told_however_many_do_and_however_it_is_reached() {
        let folder = fresh("many");
        let link = folder.with_extension("link");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let file = folder.join("a");
        let mut all: Vec<Changes> = [&file, &link.join("a"), &file]
            .map(|file| Changes::of(&[file]).unwrap())
            .into();
        let mut other = Changes::of(&[&folder.join("b")]).unwrap();
        let mut whole = Changes::within(&[], &[&link]).unwrap();
        // More than the kernel has watchers for.
        let many: Vec<_> = (0..200).map(|_| Changes::of(&[&file]).unwrap()).collect();
        drop(many);
        fs::write(&file, "1").unwrap();
        for changes in &mut all {
            changes.next().await;
        }
        whole.next().await;
        all.remove(0);
        fs::rename(&file, folder.join("c")).unwrap();
        for changes in &mut all {
            changes.next().await;
        }
        assert!(other.told.try_recv().is_err());
        fs::write(folder.join(KUBERNETES), "").unwrap();
        other.next().await;
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(&link).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_waits_until_a_change_is_over() {
        let (tell, told) = mpsc::channel(1);
        let mut changes = Some(Changes {
            told,
            number: u64::MAX,
            paths: Vec::new(),
            folders: Vec::new(),
        });
        let (start, every) = (tokio::time::Instant::now(), SETTLE * 2);
        next_look(&mut changes, every).await;
        assert_eq!(start.elapsed(), every);
        let writing = async {
            for _ in 0..3 {
                sleep(SETTLE - Duration::from_millis(1)).await;
                tell.send(()).await.unwrap();
            }
            tokio::time::Instant::now()
        };
        let (last, ()) = tokio::join!(writing, next_look(&mut changes, every));
        assert_eq!(last.elapsed(), SETTLE);
        next_look(&mut None, every).await;
        assert_eq!(last.elapsed(), SETTLE + every);
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_followed() {
        let folder = fresh("absent");
        let file = folder.join("a/b");
        assert!(Changes::of(&[&folder.join("c"), &file]).is_err());
        let number = |path: PathBuf| TOLD.lock().get(&path).map(BTreeMap::len);
        assert_eq!(number(folder.join("c")), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
