//! `ingress demo`: a real ingress in front of four services, callers of two hosts, and a file that changes midway, all in this process.
//!
//! - [`run()`] tells the whole demo, from its first line to its exit status
//! - [`script`] says what happens when
//! - [`services`] stand behind the ingress and answer with their name and the path that they were asked for
//! - [`ingress`] writes the file that is shown and runs it as `ingress run` would
//! - [`caller`] calls it
//! - [`mod@table`] sets figures in columns
//!
//! Only loopback addresses and ephemeral ports are used. The file and the certificates are in a folder that only this
//! user reads and that is gone afterwards.

mod caller;
mod ingress;
mod run;
mod script;
mod services;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use run::{describe, run};
