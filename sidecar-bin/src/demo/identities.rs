//! The demo's certificates: made anew at each start, in a folder that only this user reads and that is removed at the end.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The hosts that have a certificate each.
pub(super) const HOSTS: [&str; 2] = ["shop.demo", "admin.demo"];

/// The callers that have one of the same authority.
pub(super) const KNOWN: [&str; 2] = ["ann", "bob"];

/// Who has one of an authority that nobody knows.
const STRANGER: &str = "mallory";

/// An authority.
type Authority = CertifiedIssuer<'static, KeyPair>;

/// The certificates, as files and for the callers.
#[derive(Debug)]
pub(super) struct Identities {
    folder: PathBuf,
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
        let folder = folder().context("no folder for the demo's certificates")?;
        // From here on the folder is removed whatever happens.
        let mut all = Self {
            folder,
            root: CertificateDer::from(Vec::new()),
            own: Vec::new(),
        };
        let authority = authority("the demo")?;
        all.root = authority.der().clone();
        write(&all.folder, "ca.pem", &authority.pem())?;
        fs::create_dir(all.hosts())?;
        for host in HOSTS {
            issue(&authority, host, &all.hosts())?;
        }
        for name in KNOWN {
            let own = issue(&authority, name, &all.folder)?;
            all.own.push(own);
        }
        let stranger = issue(&self::authority("nobody knows")?, STRANGER, &all.folder)?;
        all.own.push(stranger);
        Ok(all)
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the certificates of the hosts are.
    pub(super) fn hosts(&self) -> PathBuf {
        self.folder.join("hosts")
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
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
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

impl Drop for Identities {
    fn drop(&mut self) {
        // It holds nothing but what this process has written.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A new folder among the system's temporary ones.
fn folder() -> io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    let name = format!(
        "remora-demo-{}-{:08x}",
        std::process::id(),
        fastrand::u32(..)
    );
    let folder = std::env::temp_dir().join(name);
    builder.create(&folder)?;
    Ok(folder)
}

fn authority(name: &str) -> anyhow::Result<Authority> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate for `name`, which is written into the folder with its key.
fn issue(authority: &Authority, name: &'static str, folder: &Path) -> anyhow::Result<Own> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, authority)?;
    let pem = cert.pem();
    write(folder, &format!("{name}.pem"), &pem)?;
    write(folder, &format!("{name}.key"), &key.serialize_pem())?;
    // PEM is base64 between two lines that say what it is.
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Ok(Own {
        name,
        cert: cert.der().clone(),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        told: format!(":{base64}:"),
    })
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::write(folder.join(name), text)
}
