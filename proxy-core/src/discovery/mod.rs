//! Where endpoints come from: each source is a watch that always holds the last good set of addresses.
//!
//! Invariant: after its first success a source never holds an empty set. A name server that fails,
//! answers "no such name" or answers without an address makes the set stale, not empty.

mod dns;
mod families;
mod file;
mod resolution;
mod resolver;
#[cfg(test)]
mod tests;

pub use dns::{Params, Question, watch_dns};
pub use file::watch_file;
pub use resolution::{Found, Resolution, fixed};
pub use resolver::{Lookup, LookupError, Resolve, Resolver, ResolverParams, Service, Services};
