//! Makes each proxy ready to start: finds its program and writes its configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::envoy::{bootstrap, cluster, listener, manager};
use super::{AMBASSADOR, DEFAULT, Peer, Ports, programs};

/// What is needed to prepare any peer.
#[derive(Debug)]
pub(crate) struct Prepare<'a> {
    pub(crate) ports: Ports,
    /// A folder for configurations, logs and downloads.
    pub(crate) dir: &'a Path,
    /// Whether peers add `X-Forwarded-For`.
    pub(crate) forwarded: bool,
}

impl Prepare<'_> {
    /// The ambassador with its defaults, on one worker.
    pub(crate) fn ambassador(&self, binary: PathBuf) -> Peer {
        let to = format!("http://127.0.0.1:{}", self.ports.origin);
        let listen = format!("127.0.0.1:{}", self.ports.http);
        let arguments = [
            "run",
            "--listen",
            &listen,
            "--to",
            &to,
            "--admin",
            "127.0.0.1:0",
            "--workers",
            "1",
        ];
        programs::ours(AMBASSADOR, binary, &arguments)
    }

    /// A proxy from outside by its name: `haproxy`, `nginx` or `envoy`.
    pub(crate) fn peer(&self, name: &str) -> Result<Peer> {
        match name {
            "haproxy" => self.haproxy(),
            "nginx" => self.nginx(),
            "envoy" => self.envoy(),
            other => bail!(
                "there is no proxy named {other}; known are {}",
                DEFAULT.join(", ")
            ),
        }
    }

    /// Any other program, as `NAME=COMMAND` with `{listen}` and `{origin}` where the addresses belong.
    ///
    /// The size that is reported for it is that of the last word of the command that is a file.
    pub(crate) fn custom(&self, text: &str) -> Result<Peer> {
        let (name, words) = text.split_once('=').context("--peer takes NAME=COMMAND")?;
        let listen = format!("127.0.0.1:{}", self.ports.http);
        let origin = format!("127.0.0.1:{}", self.ports.origin);
        let fill = |word: &str| {
            word.replace("{listen}", &listen)
                .replace("{origin}", &origin)
        };
        let command: Vec<String> = words.split_whitespace().map(fill).collect();
        let binary = command
            .iter()
            .rev()
            .map(PathBuf::from)
            .find(|word| word.is_file());
        let binary = binary.with_context(|| format!("the command of {name} names no file"))?;
        Ok(Peer {
            name: name.to_owned(),
            version: "as given".to_owned(),
            binary,
            command,
            h2c: None,
        })
    }

    fn haproxy(&self) -> Result<Peer> {
        let template = include_str!("../../peers/haproxy.cfg");
        let config = self.render("haproxy.cfg", template, "option forwardfor")?;
        let h2c = Some(self.ports.h2c);
        programs::haproxy(&config).map(|peer| Peer { h2c, ..peer })
    }

    fn nginx(&self) -> Result<Peer> {
        let template = include_str!("../../peers/nginx.conf");
        let forwarded = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
        let config = self.render("nginx.conf", template, forwarded)?;
        let h2c = Some(self.ports.h2c);
        programs::nginx(&config).map(|peer| Peer { h2c, ..peer })
    }

    fn envoy(&self) -> Result<Peer> {
        let settings = json!({
            "use_remote_address": self.forwarded,
            "skip_xff_append": !self.forwarded,
            "common_http_protocol_options": {"idle_timeout": "300s"},
        });
        let manager = manager(&json!({"cluster": "origin", "timeout": "30s"}), &settings);
        let listener = listener("entry", self.ports.http, &manager, &json!({}));
        let cluster = cluster(&[self.ports.origin], &json!({"connect_timeout": "1s"}));
        let text = bootstrap(&[listener], &cluster).to_string();
        let config = programs::render(&self.dir.join("envoy.json"), &text, &[])?;
        programs::envoy(self.dir, &config)
    }

    /// Fills a template in, with the line that adds `X-Forwarded-For` if that is asked for.
    fn render(&self, file: &str, template: &str, forwarded: &str) -> Result<String> {
        let values = [
            ("http", self.ports.http.to_string()),
            ("h2c", self.ports.h2c.to_string()),
            ("origin", self.ports.origin.to_string()),
            ("dir", self.dir.display().to_string()),
            (
                "forwarded",
                if self.forwarded { forwarded } else { "" }.to_owned(),
            ),
        ];
        let values = values
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        programs::render(&self.dir.join(file), template, &values)
    }
}
