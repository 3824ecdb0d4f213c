//! TLS towards clients: who we are by the name that is asked for, who may come, and what is spoken inside.
//!
//! All that comes from files is one value, which a reload replaces as a whole, so that no handshake
//! sees parts of two. It does not read requests, and does not decide which connections are TLS.

#[cfg(not(feature = "accept"))]
mod absent;
#[cfg(feature = "accept")]
mod acceptor;
#[cfg(feature = "accept")]
mod certificate;
#[cfg(feature = "acme")]
mod challenged;
#[cfg(feature = "acme")]
mod challenges;
#[cfg(feature = "accept")]
mod clients;
#[cfg(feature = "accept")]
mod expiry;
#[cfg(feature = "accept")]
mod hello;
mod invalid;
#[cfg(feature = "accept")]
mod keys;
#[cfg(feature = "accept")]
mod names;
#[cfg(feature = "accept")]
mod obtained;
#[cfg(feature = "accept")]
mod pairs;
mod params;
#[cfg(feature = "accept")]
mod peer;
#[cfg(feature = "accept")]
mod policies;
#[cfg(feature = "accept")]
mod refused;
#[cfg(feature = "accept")]
mod store;
#[cfg(test)]
mod tests;
#[cfg(feature = "accept")]
mod tickets;
#[cfg(feature = "accept")]
mod turned;
#[cfg(feature = "accept")]
mod validity;

#[cfg(not(feature = "accept"))]
pub use absent::{
    Accepted, Acceptor, Hello, Refused, ServedCertificate, client_cert, client_cert_chain,
};
#[cfg(feature = "accept")]
pub use acceptor::{Accepted, Acceptor};
#[cfg(feature = "accept")]
pub use certificate::ServedCertificate;
#[cfg(feature = "acme")]
pub use challenges::{Challenges, Published};
#[cfg(feature = "accept")]
pub use hello::Hello;
pub use invalid::{Invalid, InvalidPart};
pub use params::{
    AcceptorParams, Authorities, ChallengeKind, ClientPolicy, MinimumVersion, Obtained, Tickets,
};
#[cfg(feature = "accept")]
pub use peer::{PeerNames, client_cert, client_cert_chain};
#[cfg(feature = "accept")]
pub use refused::Refused;
