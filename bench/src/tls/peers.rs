//! The proxies inside TLS: each serves the same certificate on one port and cleartext on another.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::certificate::Files;
use super::options::{Args, DEFAULT};
use crate::peer::envoy::{bootstrap, cluster, extension, listener, manager};
use crate::peer::{INGRESS, Peer, SIDECAR, programs};

/// The configurations with their placeholders.
const OURS: &str = include_str!("../../peers/tls-sidecar.yaml");
const EDGE: &str = include_str!("../../peers/tls-ingress.yaml");
const HAPROXY: &str = include_str!("../../peers/tls-haproxy.cfg");
const NGINX: &str = include_str!("../../peers/tls-nginx.conf");

/// The ports of a run, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// Where the proxy serves in cleartext.
    pub(super) plain: u16,
    /// Where it serves inside TLS, HTTP/1.1 or HTTP/2 by ALPN.
    pub(super) secure: u16,
    /// Where the origin listens.
    pub(super) origin: u16,
}

/// What is needed to prepare any proxy.
#[derive(Debug)]
pub(super) struct Prepare<'a> {
    pub(super) ports: Ports,
    /// A folder for configurations, logs and downloads.
    pub(super) dir: &'a Path,
    pub(super) files: &'a Files,
    /// Says where our own programs are.
    pub(super) args: &'a Args,
}

impl Prepare<'_> {
    /// A proxy by its name.
    pub(super) fn peer(&self, name: &str) -> Result<Peer> {
        if let Some((flag, program)) = self.args.own(name) {
            return self.ours(name, name, programs::given(program, name, flag)?);
        }
        match name {
            "haproxy" => programs::haproxy(&self.render("tls-haproxy.cfg", HAPROXY)?),
            "nginx" => programs::nginx(&self.render("tls-nginx.conf", NGINX)?),
            "envoy" => {
                let text = envoy(self.ports, self.files).to_string();
                programs::envoy(self.dir, &self.render("tls-envoy.json", &text)?)
            }
            other => bail!(
                "there is no proxy named {other} here; known are {}",
                DEFAULT.join(", ")
            ),
        }
    }

    /// Another sidecar, as `NAME=FILE`.
    pub(super) fn custom(&self, text: &str) -> Result<Peer> {
        let (name, file) = text.split_once('=').context("--peer takes NAME=FILE")?;
        let binary = programs::given(Some(Path::new(file)), SIDECAR, "--peer")?;
        self.ours(SIDECAR, name, binary)
    }

    fn ours(&self, role: &str, name: &str, binary: PathBuf) -> Result<Peer> {
        let config = match role {
            INGRESS => self.render("tls-ingress.yaml", EDGE)?,
            _ => self.render("tls-sidecar.yaml", OURS)?,
        };
        Ok(programs::ours(name, binary, &["run", "-c", &config]))
    }

    fn render(&self, file: &str, template: &str) -> Result<String> {
        let (ports, files) = (self.ports, self.files);
        let numbers = [ports.plain, ports.secure, ports.origin].map(|port| port.to_string());
        let [plain, secure, origin] = numbers.each_ref().map(String::as_str);
        let dir = self.dir.display().to_string();
        let values = [
            ("plain", plain),
            ("secure", secure),
            ("origin", origin),
            ("dir", &dir),
            ("certificate", &files.certificate),
            ("key", &files.key),
            ("both", &files.both),
        ];
        programs::render(&self.dir.join(file), template, &values)
    }
}

/// Envoy's bootstrap: it tells the origin of the caller what the sidecar tells, and closes a connection that is over
/// at once, where by default it waits a second for its caller to do so.
fn envoy(ports: Ports, files: &Files) -> Value {
    let settings = json!({
        "use_remote_address": true,
        "common_http_protocol_options": {"idle_timeout": "300s"},
        "delayed_close_timeout": "0s",
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": extension("filters.http.router.v3.Router"),
                "suppress_envoy_headers": true,
            },
        }],
    });
    let mut manager = manager(&json!({"cluster": "origin", "timeout": "30s"}), &settings);
    manager["route_config"]["request_headers_to_add"] = json!([{
        "header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }]);
    let context = json!({
        "@type": extension("transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{
                "certificate_chain": {"filename": files.certificate},
                "private_key": {"filename": files.key},
            }],
        },
    });
    let tls = json!({"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}});
    let listeners = [
        listener("plain", ports.plain, &manager, &json!({})),
        listener("secure", ports.secure, &manager, &tls),
    ];
    let cluster = cluster(&[ports.origin], &json!({"connect_timeout": "1s"}));
    bootstrap(&listeners, &cluster)
}
