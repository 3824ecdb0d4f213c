//! `cargo xtask bench`: builds the static programs that are measured and the bench, then measures.

use std::env;

use anyhow::{Context, Result};

use crate::cargo::{AMBASSADOR, INGRESS, SIDECAR, cargo, root, target};
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
    for ours in Ours::of(words) {
        if !is_set(ours.flag) && ours.is_measured(words) {
            let built = dist::build(true, &[ours.role])?;
            command.env(ours.variable, built.first().context("nothing was built")?);
        }
    }
    step::run("bench", &mut command)
}

/// Which of our own programs is measured, and how the bench is told where it is.
#[derive(Debug, PartialEq)]
struct Ours {
    role: &'static str,
    flag: &'static str,
    variable: &'static str,
}

impl Ours {
    fn of(words: &[String]) -> &'static [Self] {
        const INSIDE_TLS: &[Ours] = &[
            Ours {
                role: SIDECAR,
                flag: "--sidecar",
                variable: "REMORA_SIDECAR",
            },
            Ours {
                role: INGRESS,
                flag: "--ingress",
                variable: "REMORA_INGRESS",
            },
        ];
        const OTHERWISE: &[Ours] = &[Ours {
            role: AMBASSADOR,
            flag: "--binary",
            variable: "REMORA_AMBASSADOR",
        }];
        match words.first().map(String::as_str) {
            Some("tls") => INSIDE_TLS,
            _ => OTHERWISE,
        }
    }

    /// Whether it is among the proxies that are asked for, as it is by default.
    fn is_measured(&self, words: &[String]) -> bool {
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
        list.is_none_or(|list| list.split(',').any(|name| name == self.role))
    }
}

#[cfg(test)]
mod tests {
    use super::Ours;

    fn measured(text: &str) -> Vec<&'static str> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let ours = Ours::of(&words).iter();
        let measured = ours.filter(|ours| ours.is_measured(&words));
        measured.map(|ours| ours.role).collect()
    }

    #[test]
    fn the_ambassador_is_built_when_it_is_measured() {
        for words in [
            "--quick",
            "--proxies haproxy,ambassador",
            "--proxies=ambassador",
            "gray --quick",
        ] {
            assert_eq!(measured(words), ["ambassador"], "{words}");
        }
        for words in ["--proxies haproxy --quick", "--proxies=nginx,envoy"] {
            assert!(measured(words).is_empty(), "{words}");
        }
    }

    #[test]
    fn of_the_edge_is_built_what_is_measured() {
        assert_eq!(measured("tls --quick"), ["sidecar", "ingress"]);
        assert_eq!(measured("tls --proxies sidecar,nginx"), ["sidecar"]);
        assert_eq!(measured("tls --proxies ingress"), ["ingress"]);
        assert!(measured("tls --proxies haproxy").is_empty());
    }
}
