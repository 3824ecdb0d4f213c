//! The ambassador among the proxies: what most tests start.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::proxy::{self, AMBASSADOR};

pub use crate::proxy::Proxy as Ambassador;

/// Its binary.
///
/// # Panics
///
/// When there is no such file.
pub fn binary() -> PathBuf {
    proxy::binary(AMBASSADOR)
}

/// Runs it with `arguments` in `directory` to its end and returns what it printed.
pub async fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    proxy::run_in(AMBASSADOR, directory, arguments).await
}

/// Runs it with `arguments` in an empty directory.
pub async fn run(arguments: &[&str]) -> Output {
    proxy::run(AMBASSADOR, arguments).await
}
