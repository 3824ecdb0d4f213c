//! Certificates from an authority that speaks ACME (RFC 8555): obtained, kept in a folder, and renewed in time.
//!
//! The folder is all that is shared: the entry that shows a certificate, the entries that answer challenges and
//! the other replicas know of it what they read there. Invariants: of those who share a folder one orders at a
//! time; what is in use is replaced by nothing but a certificate that can be used; a failure is followed by a pause,
//! which is kept in the folder too, so that neither replicas nor restarts ask an authority more often.
//!
//! It shows no certificate and listens nowhere: handshakes and requests are answered by `tls` and `http`.

#[cfg(feature = "acme")]
mod account;
#[cfg(feature = "acme")]
mod advice;
#[cfg(feature = "acme")]
mod client;
#[cfg(feature = "acme")]
mod failure;
#[cfg(feature = "acme")]
mod keep;
#[cfg(feature = "acme")]
mod kept;
#[cfg(feature = "acme")]
mod order;
mod params;
#[cfg(feature = "acme")]
mod pause;
#[cfg(feature = "acme")]
mod renewal;
#[cfg(feature = "acme")]
mod status;

#[cfg(feature = "acme")]
pub use keep::keep;
pub use params::Params;
#[cfg(feature = "acme")]
pub use status::{Outcome, Status};
