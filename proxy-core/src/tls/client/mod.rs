//! TLS towards upstreams: whom we trust, who we are, and what is spoken inside.
//!
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
