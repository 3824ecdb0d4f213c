//! From the command line's options to a compiled plan.

use proxy_core::config::{self, Document, Errors, Flags};
use proxy_core::plan::Plan;
use proxy_core::runtime::Loaded;

use crate::command::Options;

/// A configuration, and what it means on this machine.
pub(crate) struct Read {
    pub(crate) document: Document,
    pub(crate) plan: Plan,
}

/// Reads and compiles; the error is the whole text that the operator is shown.
pub(crate) fn load(options: &Options) -> Result<Loaded, String> {
    document(options)
        .and_then(|document| Loaded::compile(&document))
        .map_err(|errors| errors.to_string())
}

/// The same, with the document.
pub(crate) fn read(options: &Options) -> Result<Read, Errors> {
    let document = document(options)?;
    let plan = Loaded::compile(&document)?.plan;
    Ok(Read { document, plan })
}

fn document(options: &Options) -> Result<Document, Errors> {
    let flags = Flags {
        listen: options.listen.clone(),
        to: options.to.clone(),
        admin: options.admin.clone(),
        workers: options.workers.clone(),
        access_log: options.access_log.clone(),
        dns_servers: options.dns_server.clone(),
    };
    match &options.config {
        None => flags.document(),
        Some(file) => flags.apply(config::read(file, &|name| std::env::var(name).ok())?),
    }
}
