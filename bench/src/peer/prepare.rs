//! Makes each proxy ready to start: finds its program and writes its configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{AMBASSADOR, DEFAULT, Peer, Ports, envoy, install};

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
    pub(crate) fn ambassador(&self, binary: &Path) -> Result<Peer> {
        let to = format!("http://127.0.0.1:{}", self.ports.origin);
        let listen = format!("127.0.0.1:{}", self.ports.http);
        let binary = binary
            .canonicalize()
            .with_context(|| format!("the ambassador is not at {}", binary.display()))?;
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
        Ok(Peer {
            name: AMBASSADOR.to_owned(),
            version: first_line(Command::new(&binary).arg("--version"))
                .unwrap_or_else(|| "unknown".to_owned()),
            command: command(&binary, &arguments),
            binary,
            h2c: self.ports.http,
        })
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
            h2c: self.ports.http,
        })
    }

    fn haproxy(&self) -> Result<Peer> {
        let binary = install::program("haproxy")?;
        let forwarded = if self.forwarded {
            "option forwardfor"
        } else {
            ""
        };
        let config = self.render(
            "haproxy.cfg",
            include_str!("../../peers/haproxy.cfg"),
            forwarded,
        )?;
        Ok(Peer {
            name: "haproxy".to_owned(),
            version: first_line(Command::new(&binary).arg("-v")).unwrap_or_default(),
            command: command(&binary, &["-db", "-f", &config]),
            binary,
            h2c: self.ports.h2c,
        })
    }

    fn nginx(&self) -> Result<Peer> {
        let binary = install::program("nginx")?;
        let forwarded = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
        let forwarded = if self.forwarded { forwarded } else { "" };
        let config = self.render(
            "nginx.conf",
            include_str!("../../peers/nginx.conf"),
            forwarded,
        )?;
        Ok(Peer {
            name: "nginx".to_owned(),
            version: first_line(Command::new(&binary).arg("-v")).unwrap_or_default(),
            command: command(&binary, &["-e", "stderr", "-c", &config]),
            binary,
            h2c: self.ports.h2c,
        })
    }

    fn envoy(&self) -> Result<Peer> {
        let binary = install::envoy(self.dir)?;
        let config = self.dir.join("envoy.json");
        fs::write(
            &config,
            envoy::config(self.ports, self.forwarded).to_string(),
        )?;
        let config = config.display().to_string();
        let arguments = [
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
            command: command(&binary, &arguments),
            binary,
            h2c: self.ports.http,
        })
    }

    /// Fills a template in, writes it to the working folder and returns its path.
    fn render(&self, file: &str, template: &str, forwarded: &str) -> Result<String> {
        let path = self.dir.join(file);
        let text = template
            .replace("{{http}}", &self.ports.http.to_string())
            .replace("{{h2c}}", &self.ports.h2c.to_string())
            .replace("{{origin}}", &self.ports.origin.to_string())
            .replace("{{dir}}", &self.dir.display().to_string())
            .replace("{{forwarded}}", forwarded);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

/// A program and its arguments.
pub(crate) fn command(binary: &Path, arguments: &[&str]) -> Vec<String> {
    let words = arguments.iter().map(|word| (*word).to_owned());
    std::iter::once(binary.display().to_string())
        .chain(words)
        .collect()
}

/// The first line that a command prints, on either stream, up to any address in it.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next()?.split(" - http").next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
