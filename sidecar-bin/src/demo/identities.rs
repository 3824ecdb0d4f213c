//! The demo's certificates: made anew at each start, in a folder that only this user reads and that is removed at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use proxy_cli::demo::certificates::{Authority, Folder, trusting};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The hosts that have a certificate each.
pub(super) const HOSTS: [&str; 2] = ["shop.demo", "admin.demo"];

/// The callers that have one of the same authority.
pub(super) const KNOWN: [&str; 2] = ["ann", "bob"];

/// Who has one of an authority that nobody knows.
const STRANGER: &str = "mallory";

/// The certificates, as files and for the callers.
#[derive(Debug)]
pub(super) struct Identities {
    folder: Folder,
    root: CertificateDer<'static>,
    own: Vec<Own>,
}

/// A caller's certificate.
#[derive(Debug)]
struct Own {
    name: &'static str,
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// As `Client-Cert` carries it.
    told: String,
}

impl Identities {
    /// Makes all of them.
    pub(super) fn make() -> anyhow::Result<Self> {
        let folder = Folder::make().context("no folder for the demo's certificates")?;
        let authority = Authority::new("the demo")?;
        fs::write(folder.path().join("ca.pem"), authority.pem())?;
        let hosts = folder.path().join("hosts");
        fs::create_dir(&hosts)?;
        for host in HOSTS {
            authority.issue(host, &hosts)?;
        }
        let stranger = Authority::new("nobody knows")?;
        let known = KNOWN
            .iter()
            .map(|name| own(&authority, name, folder.path()));
        let all = known.chain([own(&stranger, STRANGER, folder.path())]);
        Ok(Self {
            own: all.collect::<anyhow::Result<_>>()?,
            root: authority.der().clone(),
            folder,
        })
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the certificates of the hosts are.
    pub(super) fn hosts(&self) -> PathBuf {
        self.folder().join("hosts")
    }

    /// Whom the value of a `Client-Cert` field names; none where it is nobody's.
    pub(super) fn named(&self, told: &str) -> Option<&'static str> {
        let own = self.own.iter().find(|own| own.told == told)?;
        Some(own.name)
    }

    /// What a caller tells its own certificate with in `Client-Cert`.
    pub(super) fn told(&self, name: &str) -> &str {
        let own = self.own.iter().find(|own| own.name == name);
        own.map_or("", |own| &own.told)
    }

    /// How a caller speaks TLS, with its certificate where it has one.
    pub(super) fn caller(&self, name: &str, alpn: &str) -> anyhow::Result<Arc<ClientConfig>> {
        let builder = trusting(&self.root)?;
        let mut config = match self.own.iter().find(|own| own.name == name) {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![own.cert.clone()];
                builder.with_client_auth_cert(chain, own.key.clone_key())?
            }
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(Arc::new(config))
    }
}

/// A caller's certificate, which is written into the folder with its key.
fn own(authority: &Authority, name: &'static str, folder: &Path) -> anyhow::Result<Own> {
    let issued = authority.issue(name, folder)?;
    // PEM is base64 between two lines that say what it is.
    let lines = issued.pem.lines().filter(|line| !line.starts_with('-'));
    let base64: String = lines.collect();
    Ok(Own {
        name,
        cert: issued.cert,
        key: issued.key,
        told: format!(":{base64}:"),
    })
}
