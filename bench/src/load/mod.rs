//! The load side of a measurement: the origin that proxies forward to, and the generators that call them.
//!
//! Each part runs as its own process, so that it can be kept on its own CPU, and reports one line
//! of JSON on its standard output. Everything speaks TCP on 127.0.0.1 from one thread, some of it
//! inside TLS: the aim is to cost less than any proxy that is measured.

mod call;
pub(crate) mod closed;
pub(crate) mod gray;
pub(crate) mod h2c;
mod h2c_wire;
pub(crate) mod handshake;
pub(crate) mod idle;
pub(crate) mod open;
pub(crate) mod origin;
mod poll;
mod response;
mod rounds;
pub(crate) mod secure;
mod session;
mod stream;
mod tickets;
