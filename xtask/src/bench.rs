//! `cargo xtask bench`: builds the static ambassador and the bench, then measures.

use std::env;

use anyhow::{Context, Result};

use crate::cargo::{AMBASSADOR, cargo, root, target};
use crate::{dist, packages, step};

/// Passes all words on to the bench, which explains them with `--help`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let is_set = |flag: &str| {
        words
            .iter()
            .any(|word| word == flag || word.starts_with(&format!("{flag}=")))
    };
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "remora-bench"]);
    command
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .arg("--")
        .args(words);
    command.env("REMORA_BENCH_DIR", target()?.join("bench"));
    // The bench is given paths by people, who mean them from where they stand.
    command.current_dir(env::current_dir()?);
    if is_set("--help") || is_set("-h") {
        return step::run("bench", &mut command);
    }
    packages::ensure(&packages::FOR_BENCH)?;
    if !is_set("--binary") && measures_ambassador(words) {
        let built = dist::build(true, &[AMBASSADOR])?;
        command.env(
            "REMORA_AMBASSADOR",
            built.first().context("nothing was built")?,
        );
    }
    step::run("bench", &mut command)
}

/// Whether the ambassador is among the proxies that are asked for, as it is by default.
fn measures_ambassador(words: &[String]) -> bool {
    let mut words = words.iter();
    let list = words.find_map(|word| match word.strip_prefix("--proxies") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    let list = match list {
        Some("") => words.next().map(String::as_str),
        other => other,
    };
    list.is_none_or(|list| list.split(',').any(|name| name == AMBASSADOR))
}

#[cfg(test)]
mod tests {
    use super::measures_ambassador;

    #[test]
    fn the_ambassador_is_built_when_it_is_measured() {
        let measures = |text: &str| {
            measures_ambassador(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        assert!(measures("--quick"));
        assert!(measures("--proxies haproxy,ambassador"));
        assert!(measures("--proxies=ambassador"));
        assert!(!measures("--proxies haproxy --quick"));
        assert!(!measures("--proxies=nginx,envoy"));
    }
}
