//! The ingress of the demo: the one that `ingress run` starts, from the file that is shown.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use proxy_cli::Failure;
use proxy_cli::demo::certificates::{Authority, Folder};
use proxy_core::admin::View;
use proxy_core::config::Section;
use proxy_core::runtime::{self, Handle, Loaded, Source};
use rustls::pki_types::CertificateDer;

use super::services::Services;

/// The hosts that have a certificate each.
pub(super) const HOSTS: [&str; 2] = ["shop.demo", "blog.demo"];

/// The entry's name.
const ENTRY: &str = "web";

/// How long it may take to be ready.
const START: Duration = Duration::from_secs(3);

/// The file and the certificates.
pub(super) struct Files {
    folder: Folder,
    /// Whom the callers trust.
    pub(super) authority: CertificateDer<'static>,
}

impl Files {
    /// Makes the certificates.
    pub(super) fn make() -> anyhow::Result<Self> {
        let folder = Folder::make().context("no folder for the demo's certificates")?;
        let authority = Authority::new("the demo")?;
        fs::write(folder.path().join("ca.pem"), authority.pem())?;
        let hosts = folder.path().join("hosts");
        fs::create_dir(&hosts)?;
        for host in HOSTS {
            authority.issue(host, &hosts)?;
        }
        Ok(Self {
            authority: authority.der().clone(),
            folder,
        })
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn configuration(&self) -> PathBuf {
        self.folder().join("remora.yaml")
    }

    /// Writes the configuration as a whole: what is written in place may be read half.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let new = self.folder().join("remora.yaml.new");
        fs::write(&new, text)?;
        fs::rename(new, self.configuration())
    }
}

/// A configuration with the demo's certificates in front of its services; `blog` answers for the blog's host.
pub(super) fn configuration(folder: &Path, services: &Services, blog: SocketAddr) -> String {
    let [first, second] = services.shop.each_ref().map(|shop| shop.address());
    let (next, api) = (services.next.address(), services.api.address());
    let [shop_host, blog_host] = HOSTS;
    format!(
        "admin: off\n\
         access-log: off\n\
         drain: {{delay: 0s}}\n\
         ingress:\n  \
           {ENTRY}:\n    \
             listen: localhost:0\n    \
             tls: {{folder: {}/hosts}}\n    \
             routes:\n      \
               {shop_host}: [http://{first}, http://{second}]\n      \
               {shop_host}#next:\n        \
                 when: {{headers: {{x-version: next}}}}\n        \
                 to: http://{next}\n      \
               {shop_host}/api:\n        \
                 to: http://{api}\n        \
                 rewrite: {{prefix: /}}\n      \
               {blog_host}: http://{blog}\n",
        folder.display(),
    )
}

/// A running ingress.
pub(super) struct Ingress {
    handle: Handle,
    view: Arc<View>,
    address: SocketAddr,
}

/// What it has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Retries.
    pub(super) retries: u64,
    /// Instances taken out of the rotation.
    pub(super) ejections: u64,
    /// How often the file was taken over anew.
    pub(super) reloads: u64,
}

impl Ingress {
    /// Runs the file; returns when it is ready.
    pub(super) fn start(files: &Files) -> Result<Self, Failure> {
        let file = files.configuration();
        let again = file.clone();
        let loaded = load(&file).map_err(Failure::Usage)?;
        let source = Source {
            file: Some(file),
            load: Arc::new(move || load(&again)),
        };
        let handle = runtime::start(Section::Ingress.as_str(), loaded, source)?;
        let address = handle.addresses(ENTRY).first().copied();
        let ingress = Self {
            view: Arc::clone(handle.view()),
            address: address.context("the ingress listens nowhere")?,
            handle,
        };
        ingress.wait()?;
        Ok(ingress)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while !self.view.unready().is_empty() {
            if Instant::now() >= deadline {
                bail!("the ingress was not ready within {START:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where callers connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts {
            reloads: self.view.reloads.load(Relaxed),
            ..Counts::default()
        };
        for entry in self.view.entries.load().iter() {
            let totals = entry.telemetry.totals();
            counts.retries += totals.retries().map(|(_, count)| count).sum::<u64>();
            counts.ejections += entry.endpoints.ejections();
        }
        counts
    }

    /// Whether it has taken over every file that was written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let rejected = self.view.reload_errors.load_full();
        ensure!(
            rejected.is_none(),
            "the file was rejected: {}",
            rejected.unwrap_or_default()
        );
        Ok(())
    }

    /// Drains it as SIGTERM would, and returns when it has ended.
    pub(super) fn drain(&mut self) -> Result<(), runtime::Error> {
        self.handle.drain()
    }
}

fn load(file: &Path) -> Result<Loaded, String> {
    let document = Section::Ingress.read(file, &|_| None);
    let loaded = document.and_then(|document| Loaded::compile(&document));
    loaded.map_err(|errors| errors.to_string())
}
