//! TLS on both sides: towards upstreams (`client/`) and towards clients (`server/`).
//!
//! TLS 1.2 and 1.3 by rustls. Certificates and keys come from files, which are followed: what is
//! written anew holds for connections made from then on, and what cannot be used changes nothing.

mod client;
mod follow;
mod pem;
#[cfg(feature = "acme")]
mod private;
mod records;
mod server;

pub use client::{Connector, Material, Offer, Params, Part, Reach, Reached, Unusable, alert};
#[cfg(feature = "acme")]
pub use private::write_private;
pub(crate) use records::PLAIN;
#[cfg(feature = "accept")]
pub use server::PeerNames;
pub use server::{
    Accepted, Acceptor, AcceptorParams, Authorities, ChallengeKind, ClientPolicy, Hello, Invalid,
    InvalidPart, MinimumVersion, Obtained, Refused, ServedCertificate, Tickets, client_cert,
    client_cert_chain,
};
#[cfg(feature = "acme")]
pub use server::{Challenges, Published};
