//! The programs of the comparison, each as it is started with a configuration that is written already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Peer, install};

/// Where one of our own programs is; `flag` is how a person tells.
pub(crate) fn given(program: Option<&Path>, role: &str, flag: &str) -> Result<PathBuf> {
    let program = program
        .with_context(|| format!("no {role} to measure: pass {flag} or use `cargo xtask bench`"))?;
    program
        .canonicalize()
        .with_context(|| format!("the {role} is not at {}", program.display()))
}

/// One of our own programs.
pub(crate) fn ours(name: &str, binary: PathBuf, arguments: &[&str]) -> Peer {
    let version = first_line(Command::new(&binary).arg("--version"));
    let version = version.unwrap_or_else(|| "unknown".to_owned());
    peer(name, version, binary, arguments)
}

/// HAProxy in the foreground.
pub(crate) fn haproxy(config: &str) -> Result<Peer> {
    let binary = install::program("haproxy")?;
    let version = first_line(Command::new(&binary).arg("-v")).unwrap_or_default();
    Ok(peer("haproxy", version, binary, &["-db", "-f", config]))
}

/// nginx; its configuration says that it stays in the foreground.
pub(crate) fn nginx(config: &str) -> Result<Peer> {
    let binary = install::program("nginx")?;
    let version = first_line(Command::new(&binary).arg("-v")).unwrap_or_default();
    let arguments = ["-e", "stderr", "-c", config];
    Ok(peer("nginx", version, binary, &arguments))
}

/// Envoy with one worker, which is fetched into `dir` the first time.
pub(crate) fn envoy(dir: &Path, config: &str) -> Result<Peer> {
    let binary = install::envoy(dir)?;
    let version = format!("envoy {}", install::ENVOY_VERSION);
    let arguments = [
        "-c",
        config,
        "--concurrency",
        "1",
        "-l",
        "error",
        "--disable-hot-restart",
    ];
    Ok(peer("envoy", version, binary, &arguments))
}

/// All that can be had of the proxies with these names. What is left out is noted with the reason.
pub(crate) fn gather<'a>(
    names: impl IntoIterator<Item = &'a String>,
    notes: &mut Vec<String>,
    prepare: impl Fn(&str) -> Result<Peer>,
) -> Vec<Peer> {
    let mut found = Vec::new();
    for name in names {
        match prepare(name) {
            Ok(peer) => found.push(peer),
            Err(error) => notes.push(format!("{name} is left out: {error:#}.")),
        }
    }
    found
}

/// Fills a template's `{{...}}` in, writes it to a file and returns the file's path.
pub(crate) fn render(path: &Path, template: &str, values: &[(&str, &str)]) -> Result<String> {
    let fill = |text: String, (name, value): &(&str, &str)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    };
    let text = values.iter().fold(template.to_owned(), fill);
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}

fn peer(name: &str, version: String, binary: PathBuf, arguments: &[&str]) -> Peer {
    let arguments = arguments.iter().map(|word| (*word).to_owned());
    let command = std::iter::once(binary.display().to_string());
    Peer {
        name: name.to_owned(),
        version,
        command: command.chain(arguments).collect(),
        binary,
        h2c: None,
    }
}

/// The first line that a command prints, on either stream, up to any address in it.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next()?.split(" - http").next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_template_is_filled_in() {
        let path = std::env::temp_dir().join(format!("remora-bench-{}", std::process::id()));
        let values = [("http", "1"), ("origin", "2")];
        let written = render(&path, "{{http}} {{origin}} {{http}}", &values);
        assert_eq!(written.expect("written"), path.display().to_string());
        assert_eq!(fs::read_to_string(&path).expect("read"), "1 2 1");
        fs::remove_file(&path).expect("removed");
    }
}
