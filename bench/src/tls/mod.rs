//! The scenarios inside TLS: what the sidecar, the ingress and their peers spend on handshakes, requests and bodies, and on idle connections.
//!
//! They stand apart from the other scenarios, because other roles are measured, with settings of the proxies made
//! for it.

mod certificate;
mod options;
mod peers;
mod run;
mod scenario;

pub(crate) use options::Args;
pub(crate) use run::all;
