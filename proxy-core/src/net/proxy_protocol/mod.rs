//! The PROXY protocol, versions 1 and 2: a header before everything else on a connection, which says between whom it is.
//!
//! HAProxy's specification is `doc/proxy-protocol.txt` of its sources
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>). Reading and writing are pure functions; only
//! [`receive`] knows a socket. A header is believed of peers that may send one, and of nobody else.

mod checksum;
mod decode;
mod encode;
mod header;
mod receive;
#[cfg(test)]
mod tests;

pub use decode::{Malformed, decode};
pub use encode::encode;
pub use header::{Ends, Header, Version};
pub use receive::{Params, receive};
