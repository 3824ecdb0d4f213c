//! TLS towards clients: who we are by the name that is asked for, who may come, and what is spoken inside.
//!
//! All that comes from files is one value, which a reload replaces as a whole, so that no handshake
//! sees parts of two. It does not read requests, and does not decide which connections are TLS.

mod acceptor;
mod certificate;
mod clients;
mod expiry;
mod hello;
mod invalid;
mod keys;
mod names;
mod pairs;
mod params;
mod peer;
mod policies;
mod refused;
mod store;
#[cfg(test)]
mod tests;
mod tickets;

pub use acceptor::{Accepted, Acceptor};
pub use certificate::ServedCertificate;
pub use hello::Hello;
pub use invalid::{Invalid, InvalidPart};
pub use params::{AcceptorParams, Authorities, ClientPolicy, MinimumVersion, Tickets};
pub use peer::{PeerNames, client_cert, client_cert_chain};
pub use refused::Refused;
