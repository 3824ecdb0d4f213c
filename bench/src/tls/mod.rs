//! The scenarios inside TLS: what the sidecar and its peers spend on handshakes, requests and bodies, and on idle connections.
//!
//! They stand apart from the other scenarios, because another role is measured, with settings of the proxies made
//! for it.

mod certificate;
mod options;
mod peers;
mod run;
mod scenario;

pub(crate) use options::Args;
pub(crate) use run::all;
