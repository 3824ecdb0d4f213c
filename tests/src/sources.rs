//! The Rust sources of the workspace, for the rules that a machine checks.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("a source file");
        Self { path, text }
    }

    /// Its path below the workspace.
    pub fn shown(&self) -> String {
        self.path
            .strip_prefix(workspace())
            .unwrap_or(&self.path)
            .display()
            .to_string()
    }

    /// Whether it holds tests alone: `tests.rs`, or anything below a directory `tests`.
    pub fn is_test(&self) -> bool {
        let shown = PathBuf::from(self.shown());
        let support = shown.starts_with("tests/src");
        let below = shown
            .parent()
            .is_some_and(|path| path.iter().any(|part| part == "tests"));
        !support && (below || shown.file_name().is_some_and(|name| name == "tests.rs"))
    }

    /// The path of its module below the crate's root: `http/server.rs` is `http`, `server`.
    pub fn modules(&self, root: &Path) -> Vec<String> {
        let below = self
            .path
            .strip_prefix(root)
            .unwrap_or(&self.path)
            .with_extension("");
        let mut parts: Vec<String> = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if parts
            .last()
            .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
        {
            parts.pop();
        }
        parts
    }
}

/// The directory of the workspace.
///
/// # Panics
///
/// When this crate stands in none.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("this crate is in a workspace")
        .to_owned()
}

/// The directories of the workspace's crates.
///
/// # Panics
///
/// When the workspace cannot be read.
pub fn crates() -> Vec<PathBuf> {
    let mut crates: Vec<PathBuf> = fs::read_dir(workspace())
        .expect("the workspace")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|directory| directory.join("Cargo.toml").is_file())
        .collect();
    crates.sort();
    crates
}

/// Every Rust file below a directory, or of every crate when it is the workspace.
///
/// # Panics
///
/// When a file cannot be read, or there is none.
pub fn sources(root: &Path) -> Vec<Source> {
    let mut waiting = if root == workspace() {
        crates()
    } else {
        vec![root.to_owned()]
    };
    let mut files = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no sources below {}", root.display());
    files.into_iter().map(Source::read).collect()
}
