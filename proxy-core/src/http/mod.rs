//! HTTP on both sides: the server that reads requests, the client that sends them on, and what must be true of a message in between.
//!
//! Both sides choose their protocol independently: HTTP/1.1 or HTTP/2 downstream by the
//! connection's first bytes (prior knowledge) or, with TLS, by ALPN, upstream by the scheme of the target.

#[cfg(feature = "acme")]
mod challenge;
mod client;
mod expect;
mod explain;
mod forwarded;
mod gathered;
mod give_way;
mod hops;
mod http1;
mod hygiene;
mod intake;
mod interim;
mod probe;
mod record;
mod respond;
mod secured;
mod server;
mod trailers;
mod upgrade;

#[cfg(feature = "acme")]
pub use challenge::{Answer as ChallengeAnswer, Challenge, Told};
pub use client::{Client, ClientParams, Protocol};
pub use explain::{Allowed, Explain, ExplainLayer};
pub use forwarded::{Forward, ForwardLayer, Network, Params as ForwardParams};
pub use hygiene::{Hygiene, HygieneLayer};
pub use probe::{Question as ProbeQuestion, probe};
pub use record::{Record, RecordLayer};
pub use respond::{Respond, RespondLayer};
pub use secured::{serve_hello, serve_tls};
pub use server::{ServerParams, serve};
pub use upgrade::{Upgrade, UpgradeLayer};
