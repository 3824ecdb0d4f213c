//! The proxies of this scenario, each with its best settings for the job.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::envoy;
use crate::peer::{AMBASSADOR, BASELINE, Peer, programs};

/// Our own proxy without any setting beyond its endpoints.
const PLAIN: &str = "ambassador-defaults";
/// The configurations with their placeholders.
const OURS: &str = include_str!("../../peers/gray-ambassador.yaml");
const HAPROXY: &str = include_str!("../../peers/gray-haproxy.cfg");
/// What is measured unless `--proxies` says otherwise, in the order of the tables.
pub(super) const DEFAULT: [&str; 3] = [AMBASSADOR, BASELINE, "envoy"];

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
        let binary = programs::given(self.binary, AMBASSADOR, "--binary")?;
        let config = self.render(name, "yaml", template)?;
        Ok(programs::ours(name, binary, &["run", "-c", &config]))
    }

    fn haproxy(&self) -> Result<Peer> {
        programs::haproxy(&self.render("haproxy", "cfg", HAPROXY.to_owned())?)
    }

    fn envoy(&self) -> Result<Peer> {
        let template = envoy::config(self.ports).to_string();
        programs::envoy(self.dir, &self.render("envoy", "json", template)?)
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
        let ports = self.ports;
        let [one, two, three] = ports.endpoints;
        let values = [
            ("http", ports.http),
            ("admin", ports.admin),
            ("one", one),
            ("two", two),
            ("three", three),
        ];
        let values = values.map(|(name, port)| (name, port.to_string()));
        let values = values.each_ref().map(|(name, port)| (*name, port.as_str()));
        let path = self.dir.join(format!("gray-{name}.{kind}"));
        programs::render(&path, &template, &values)
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
