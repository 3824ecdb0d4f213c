//! `sidecar demo`: a real sidecar before a workload that falls ill and recovers, and callers that it tells apart, all in this process.
//!
//! - [`run()`] tells the whole demo, from its first line to its exit status
//! - [`script`] says what happens when
//! - [`identities`] makes the certificates, in a folder that is gone afterwards
//! - [`workload`] stands behind the sidecar and answers with what it was told of who calls
//! - [`sidecar`] compiles the configuration that is shown and runs it as `sidecar run` would
//! - [`caller`] calls it
//! - [`mod@table`] sets figures in columns
//!
//! Only loopback addresses and ephemeral ports are used, and nothing but that folder is written.

mod caller;
mod identities;
mod run;
mod script;
mod sidecar;
mod table;
#[cfg(test)]
mod tests;
mod workload;

pub(crate) use run::{describe, run};
