//! What is to run: a configuration as this machine understands it, and where it is read again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use super::aside;
use crate::config::{self, Document, Errors};
use crate::plan::{Plan, World, compile};
use crate::tls::{Acceptor, Material, Params, Unusable};

/// What a configuration became.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What to run.
    pub plan: Plan,
    /// The effective configuration, as the admin interface shows it.
    pub effective: String,
}

impl Loaded {
    /// Compiles `document` for this machine: `workers: auto` is the CPUs that the process may use,
    /// `discover: env` reads its environment, and certificates and keys are read once to see that
    /// they can be used.
    ///
    /// # Errors
    /// Everything in the document that cannot be run here, each at its place.
    pub fn compile(document: &Document) -> Result<Self, Errors> {
        // Many entries may have the same files. Whose name is expected makes no file usable.
        let seen = RefCell::new(HashMap::new());
        let usable = |params: &Params| -> Result<(), Unusable> {
            let files = (params.ca.clone(), params.identity.clone());
            let mut seen = seen.borrow_mut();
            let usable = seen.entry(files);
            usable
                .or_insert_with(|| Material::load(params).map(drop))
                .clone()
        };
        let world = World {
            cpus: std::thread::available_parallelism().map_or(1, NonZero::get),
            env: &|name| std::env::var(name).ok(),
            usable: &usable,
            servable: &|params| Acceptor::new(params.clone()).map(drop),
            read: &|file| page(file),
        };
        let written = || config::effective(&document.config);
        thread::scope(|scope| {
            // With thousands of routes either takes as long as the other.
            let builder = thread::Builder::new().name("effective".to_owned());
            let writing = builder.spawn_scoped(scope, written).ok();
            let plan = compile(document, &world);
            let effective = writing.and_then(|writing| writing.join().ok());
            Ok(Self {
                plan: plan?,
                effective: effective.unwrap_or_else(written),
            })
        })
    }
}

/// Where the configuration comes from, so that it can be read again.
pub struct Source {
    /// The file, if there is one: it is watched.
    pub file: Option<PathBuf>,
    /// Reads and compiles, on a thread of its own; the error is what the operator is shown.
    pub load: Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>,
}

/// A file that is to be sent to clients: kept in memory, and therefore of at most 1 MiB.
fn page(file: &str) -> io::Result<Vec<u8>> {
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    let read = File::open(file)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if read as u64 > MOST {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(bytes)
}

impl Source {
    /// A configuration that never changes: a reload finds `loaded` again.
    pub fn fixed(loaded: Loaded) -> Self {
        Self {
            file: None,
            load: Arc::new(move || Ok(loaded.clone())),
        }
    }

    /// Reads it again. Meanwhile the calling thread does other things.
    pub(super) async fn read(&self) -> Result<Loaded, String> {
        let load = Arc::clone(&self.load);
        let reading = aside("load", move || load());
        let reading = reading.map_err(|error| format!("no thread to read it on: {error}\n"))?;
        let broken = |_| "reading it broke off\n".to_owned();
        reading.await.map_err(broken)?
    }
}
