//! The configuration file: what an operator may write, read with every mistake located.
//!
//! [`parse`] turns text into a [`Document`]: the [`Config`] that mirrors the file, with every
//! default filled in, and the places of its values, so that a later stage can add errors of its
//! own with [`Document::error_at`]. All errors of a file are reported in one run, each with its
//! line, column, a snippet and a remedy.
//!
//! Invariants: a value that exists is valid on its own (units, ranges and grammar are checked by
//! its type); rules that join several values hold in every [`Document`]. Units are always written.
//!
//! This module starts nothing, resolves nothing and opens nothing but the file it is given.

mod acme;
mod balance;
mod count;
mod discover;
mod document;
mod effective;
mod entry;
mod errors;
#[cfg(feature = "gateway")]
mod filters;
mod flags;
mod forwarded;
#[cfg(feature = "gateway")]
mod gateway;
mod inbound;
mod inbound_tls;
mod lines;
mod listen;
#[cfg(feature = "gateway")]
mod matching;
mod mirror;
mod name;
mod network;
mod off;
mod policy;
mod proxy_protocol;
mod read;
mod root;
#[cfg(feature = "gateway")]
mod route;
#[cfg(feature = "gateway")]
mod route_key;
mod samples;
mod schema;
mod section;
#[cfg(test)]
mod tests;
mod tls;
mod to;
mod tree;
mod units;
mod url;
mod validate;
mod when;
mod written;

pub use acme::{Acme, AcmeChallenge, Terms};
pub use balance::{Balance, HashOn, HeaderName};
pub use count::Count;
pub use discover::Discover;
pub use document::Document;
pub use effective::{effective, yaml};
pub use entry::{Eject, Entry, Health, HostPolicy, Pool, Retry, Timeouts};
pub use errors::{Error, Errors};
#[cfg(feature = "gateway")]
pub use filters::{
    Answer, Compress, ContentCoding, Cors, FieldChanges, FieldValue, HeaderChanges, Hsts, Redirect,
    Rewrite, WebScheme,
};
pub use flags::Flags;
pub use forwarded::{Forwarded, ForwardedField};
#[cfg(feature = "gateway")]
pub use gateway::{ClientTimeouts, Gateway};
pub use inbound::{Inbound, InboundAddress};
pub use inbound_tls::{ClientCertificate, HostClients, InboundTls};
pub use listen::{DnsServer, ListenAddress, ListenHost};
#[cfg(feature = "gateway")]
pub use matching::{ValueMatch, When};
pub use mirror::Mirror;
pub use name::EntryName;
pub use network::Network;
pub use off::OrOff;
pub use policy::{Abort, Delay, Hedge, InFlight, Inject, Limit, PathPolicy, PathTimeouts};
pub use proxy_protocol::{ProxyProtocol, ProxyVersion};
pub use read::{parse, parse_bytes, read};
pub use root::{AccessLog, Config, Dns, Drain, Explain, Ignored, Workers};
#[cfg(feature = "gateway")]
pub use route::{Lead, Route};
#[cfg(feature = "gateway")]
pub use route_key::{RouteKey, RoutePath};
pub use samples::{Sample, Samples};
pub use schema::schema;
pub use section::Section;
pub use tls::{Alpn, Tls};
pub use to::{Target, To};
pub use units::{Duration, Percent, Rate, Size};
pub use url::{Host, Scheme, Url};
pub use when::{Method, RetryOn, StatusRange};
pub use written::Invalid;
