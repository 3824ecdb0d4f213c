//! The match table: from host, path, method, headers and query to one route, the most specific one first.
//!
//! What matches, and what goes first, is as in the Kubernetes Gateway API
//! ([HTTPRouteSpec](https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec),
//! [HTTPRouteRule](https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule)). Of all matches
//! that a request fulfils, that one wins which has, in this order:
//!
//! 1. the exact host, then the longest wildcard, then any host;
//! 2. the exact path, then a regular expression, then the longest prefix. Where expressions stand is
//!    left to implementations; this is the order of
//!    [Envoy Gateway](https://github.com/envoyproxy/gateway/blob/main/internal/gatewayapi/sort.go);
//! 3. a method;
//! 4. the most headers;
//! 5. the most query parameters;
//! 6. the first place in the list.
//!
//! A wildcard `*.example.com` stands for one label or more, not for none
//! ([hostnames](https://gateway-api.sigs.k8s.io/concepts/hostnames/)). A host whose paths do not match leaves
//! the request to less specific hosts, because the precedence is one of matches; where it is not so, users
//! [miss it](https://github.com/envoyproxy/gateway/issues/5500). Whoever wants a host to answer for itself alone
//! gives it a prefix `/`.
//!
//! Invariant: a path is matched and forwarded as one string. [`normalise`] makes that string, or
//! refuses the request (RFC 3986); it comes before [`Table::find`].
//!
//! Invariant: the cost of a look-up does not grow with the number of hosts. A host is a look-up in a hash
//! table for itself and one for each of its labels, a path one walk down a tree of segments; only regular
//! expressions of one host are asked one after the other.
//!
//! It does not say what a route does, and knows no TLS: one listener is one table.

mod by_host;
mod conditions;
mod error;
mod head;
mod host;
mod path;
mod query;
mod rule;
mod shadow;
mod table;
mod tree;

#[cfg(test)]
mod tests;

pub use by_host::ByHost;
pub use error::Error;
pub use head::Head;
pub use host::canonical;
pub use path::{Refused, normal_path, normalise};
pub use rule::{Field, Host, Match, Parameter, Path, Value};
pub use shadow::Warning;
pub use table::Table;
