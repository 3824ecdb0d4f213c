//! The proxies of this scenario, each with its best settings for the job.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::envoy;
use crate::peer::{AMBASSADOR, Peer, command, first_line, install};

/// Our own proxy without any setting beyond its endpoints.
const PLAIN: &str = "ambassador-defaults";
/// The configurations with their placeholders.
const OURS: &str = include_str!("../../peers/gray-ambassador.yaml");
const HAPROXY: &str = include_str!("../../peers/gray-haproxy.cfg");
/// What is measured unless `--proxies` says otherwise, in the order of the tables.
pub(super) const DEFAULT: [&str; 3] = [AMBASSADOR, "haproxy", "envoy"];

/// The ports of a run, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// Where the proxy serves.
    pub(super) http: u16,
    /// Where the ambassador tells its metrics.
    pub(super) admin: u16,
    /// The endpoints; the last one is the one that fails.
    pub(super) endpoints: [u16; 3],
}

/// What is needed to prepare any proxy.
pub(super) struct Prepare<'a> {
    pub(super) ports: Ports,
    /// A folder for configurations, logs and downloads.
    pub(super) dir: &'a Path,
    /// The ambassador.
    pub(super) binary: Option<&'a Path>,
    /// Other configurations than ours, as `PROXY=FILE`.
    pub(super) configs: &'a [String],
}

impl Prepare<'_> {
    /// A proxy by its name.
    pub(super) fn peer(&self, name: &str) -> Result<Peer> {
        match name {
            AMBASSADOR => self.ambassador(name, OURS.to_owned()),
            PLAIN => self.ambassador(name, plain(OURS)),
            "haproxy" => self.haproxy(),
            "envoy" => self.envoy(),
            other => bail!(
                "there is no proxy named {other} here; known are {}, {PLAIN}",
                DEFAULT.join(", ")
            ),
        }
    }

    fn ambassador(&self, name: &str, template: String) -> Result<Peer> {
        let binary = self
            .binary
            .context("no ambassador to measure: pass --binary or use `cargo xtask bench gray`")?;
        let binary = binary
            .canonicalize()
            .with_context(|| format!("the ambassador is not at {}", binary.display()))?;
        let config = self.render(name, "yaml", template)?;
        Ok(Peer {
            name: name.to_owned(),
            version: first_line(Command::new(&binary).arg("--version")).unwrap_or_default(),
            command: command(&binary, &["run", "-c", &config]),
            binary,
            h2c: self.ports.http,
        })
    }

    fn haproxy(&self) -> Result<Peer> {
        let binary = install::program("haproxy")?;
        let config = self.render("haproxy", "cfg", HAPROXY.to_owned())?;
        Ok(Peer {
            name: "haproxy".to_owned(),
            version: first_line(Command::new(&binary).arg("-v")).unwrap_or_default(),
            command: command(&binary, &["-db", "-f", &config]),
            binary,
            h2c: self.ports.http,
        })
    }

    fn envoy(&self) -> Result<Peer> {
        let binary = install::envoy(self.dir)?;
        let config = self.render("envoy", "json", envoy::config(self.ports).to_string())?;
        let words = [
            "-c",
            &config,
            "--concurrency",
            "1",
            "-l",
            "error",
            "--disable-hot-restart",
        ];
        Ok(Peer {
            name: "envoy".to_owned(),
            version: format!("envoy {}", install::ENVOY_VERSION),
            command: command(&binary, &words),
            binary,
            h2c: self.ports.http,
        })
    }

    /// Fills a template in, or the one that is given for this proxy, writes it to the working folder and
    /// returns its path.
    fn render(&self, name: &str, kind: &str, template: String) -> Result<String> {
        let mut given = self.configs.iter().filter_map(|text| text.split_once('='));
        let template = match given.find(|(proxy, _)| *proxy == name) {
            Some((_, file)) => {
                fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
            }
            None => template,
        };
        let [one, two, three] = self.ports.endpoints.map(|port| port.to_string());
        let text = template
            .replace("{{http}}", &self.ports.http.to_string())
            .replace("{{admin}}", &self.ports.admin.to_string())
            .replace("{{one}}", &one)
            .replace("{{two}}", &two)
            .replace("{{three}}", &three);
        let path = self.dir.join(format!("gray-{name}.{kind}"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

/// A configuration of the ambassador up to its endpoints.
fn plain(template: &str) -> String {
    let policies = ["timeout:", "hedge:", "retry:", "eject:", "health:"];
    let is_policy = |line: &&str| policies.iter().any(|key| line.trim().starts_with(key));
    let lines: Vec<&str> = template.lines().filter(|line| !is_policy(line)).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{OURS, plain};

    #[test]
    fn the_plain_configuration_has_no_policy() {
        let text = plain(OURS);
        assert!(text.contains("  to: ["), "{text}");
        assert!(text.trim_end().ends_with(']'), "{text}");
    }
}
