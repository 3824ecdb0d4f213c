//! TLS towards upstreams: whom we trust, who we are, and what is spoken inside.
//!
//! TLS 1.2 and 1.3 by rustls. Certificates and keys come from files, which are followed: what is
//! written anew holds for connections made from then on, and what cannot be used changes nothing.
//! It does not decide when a connection is made, nor which endpoint it leads to.

mod connector;
mod faults;
mod material;
mod reach;
mod spiffe;

pub use connector::{Connector, Offer};
pub use faults::alert;
pub use material::{Material, Params, Part, Unusable};
pub use reach::{Reach, Reached};
