//! What a route may do to a request or a response: one file a service, each usable alone.
//!
//! Layers, around a service that goes on with the request:
//!
//! - [`rewrite`] changes the path and the host of a request
//! - [`headers`] sets, adds and removes header fields, of requests and responses
//! - [`cors`] answers what browsers ask about origins
//! - [`hsts`] tells browsers to use TLS alone
//! - [`pages`] puts pages in the place of our own failures
//! - `compress` compresses responses; only with the feature `compression`
//!
//! Services, which answer by themselves:
//!
//! - [`redirect`] sends the client elsewhere
//! - [`fixed`] gives one answer to every request
//!
//! Each takes its `Params` once and refuses them where they would break a message: framing and fields of
//! the hop belong to the connection, never to a route. The filters of Gateway API's HTTPRoute map onto them one
//! to one. They cost nothing where they are not put into a stack, and do not know the match table: a
//! prefix that is to be replaced is told to them.

mod after;
#[cfg(feature = "compression")]
pub mod compress;
pub mod cors;
pub mod fixed;
pub mod headers;
pub mod hsts;
pub mod pages;
mod path;
pub mod redirect;
pub mod rewrite;
mod vary;

pub use path::{PathChange, WrongPath};
