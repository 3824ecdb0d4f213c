//! From the command line's options to a compiled plan.

use proxy_core::config::{Document, Errors, Flags, Section};
use proxy_core::plan::Plan;
use proxy_core::runtime::Loaded;

use crate::command::Options;

/// A configuration, and what it means on this machine.
pub(crate) struct Read {
    pub(crate) document: Document,
    pub(crate) plan: Plan,
}

/// Reads and compiles; the error is the whole text that the operator is shown.
pub(crate) fn load(section: Section, options: &Options) -> Result<Loaded, String> {
    document(section, options)
        .and_then(|document| Loaded::compile(&document))
        .map_err(|errors| errors.to_string())
}

/// The same, with the document.
pub(crate) fn read(section: Section, options: &Options) -> Result<Read, Errors> {
    let document = document(section, options)?;
    let plan = Loaded::compile(&document)?.plan;
    Ok(Read { document, plan })
}

fn document(section: Section, options: &Options) -> Result<Document, Errors> {
    let flags = Flags {
        section,
        listen: options.listen.clone(),
        to: options.to.clone(),
        cert: options.certificate.cert.clone(),
        key: options.certificate.key.clone(),
        admin: options.admin.clone(),
        workers: options.workers.clone(),
        access_log: options.access_log.clone(),
        dns_servers: options.dns_server.clone(),
    };
    match &options.config {
        None => flags.document(),
        Some(file) => flags.apply(section.read(file, &|name| std::env::var(name).ok())?),
    }
}
