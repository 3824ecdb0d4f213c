//! `ambassador demo`: a real ambassador between a workload and replicas that fail, die and appear, all in this process.
//!
//! - [`run()`] tells the whole demo, from its first line to its exit status
//! - [`script`] says what happens when
//! - [`service`] is what stands behind the name: the name server of [`names`] and every [`replica`]
//! - [`ambassador`] compiles the configuration that is shown and runs it as `ambassador run` would
//! - [`workload`] calls it and writes what it sees into a [`Tally`](proxy_cli::demo::Tally)
//! - [`mod@table`] sets figures in columns
//!
//! Only loopback addresses and ephemeral ports are used, and nothing is read from or left on the machine.

mod ambassador;
mod names;
mod replica;
mod run;
mod script;
mod service;
mod table;
#[cfg(test)]
mod tests;
mod workload;

pub(crate) use run::run;
