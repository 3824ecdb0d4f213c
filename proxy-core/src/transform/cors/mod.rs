//! Answers what browsers ask before they share a response with a page of another origin.
//!
//! The protocol is that of the [Fetch Standard](https://fetch.spec.whatwg.org/#http-cors-protocol), what is
//! configured is Gateway API's
//! [HTTPCORSFilter](https://gateway-api.sigs.k8s.io/reference/spec/#httpcorsfilter):
//!
//! - A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) is answered here and never
//!   goes on: with 200, and without a permission for other origins, which makes the browser refuse.
//! - Every other request goes on. What its response says of sharing is taken away, and what is configured
//!   stands in its place, so that there is one permission or none.
//! - With credentials the origin, the method and the headers are repeated, never `*`, which would mean
//!   a literal asterisk there; `*` for exposed headers is then left out. The opaque origin `null`, which any page can
//!   take, gets no credentials.
//! - `Vary` says what a response depends on, also where no origin was sent.
//!
//! It protects no service: whoever is no browser needs no permission.

mod origin;
mod service;

#[cfg(test)]
mod tests;

pub use origin::{Origin, WrongOrigin};
pub use service::{Cors, CorsLayer, Error, Names, Params};
